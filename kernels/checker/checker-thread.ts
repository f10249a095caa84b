/** Worker thread of the TypeScript engine: the types of cells, their completions and documentation; and it compiles. */
import { parentPort, workerData } from 'node:worker_threads';
import type { CompiledCell, PlacedMessage } from '../cells/compile';
import { keepTypescript } from '../cells/load-typescript';
import { serve } from '../process/thread-client';
import { CellChecker } from './checker';
import { type CellSourceText, compilerCalls } from './compiler';

export interface CellText {
  readonly code: string;
  /** Names the cell; each name once. */
  readonly cell: string;
}

export interface CheckedCell {
  readonly compiled: CompiledCell;
  readonly errors: readonly PlacedMessage[];
}

interface CursorText {
  readonly code: string;
  readonly position: number;
}

const checker = new CellChecker((workerData as { readonly folder: string }).folder);
let isPrepared = false;
const WARM_ROUNDS = 30;

const calls = {
  ...compilerCalls,
  /** Resolves once the program is made. */
  prepare(): void {
    if (isPrepared) return;
    isPrepared = true;
    checker.prepare();
    setImmediate(keepTypescript);
    setImmediate(warmUp);
  },
  check: ({ code, cell }: CellText) => checker.check(code, cell),
  /** Both steps of a cell that runs only without errors, in one answer; a cell that does not compile is not checked. */
  checkedCell(source: CellText & CellSourceText): CheckedCell {
    const compiled = compilerCalls.cell(source);
    return { compiled, errors: compiled.syntaxErrors.length > 0 ? [] : errorsOf(source) };
  },
  given({ cell, names }: { readonly cell: string; readonly names: readonly string[] }): void {
    compilerCalls.names(names);
    checker.given(cell, names);
  },
  complete: ({ code, position }: CursorText) => checker.complete(code, position),
  inspect: ({ code, position }: CursorText) => checker.inspect(code, position),
};
serve(parentPort!, calls);

/** What the main thread asks of this one. */
export type CheckerCalls = typeof calls;

/** V8 makes code fast that has run some dozens of times: that many cells and completions, between the questions of others. */
function warmUp(round = 0): void {
  const code = `const x: number = Math.max(${round}); for (const y of [x, 'a']) console.log({ y }); pw.version + x`;
  calls.checkedCell({ code, cell: `0-warm-${round}`, fileName: 'cell-0.ts' });
  checker.complete('Math.ma', 7);
  if (round < WARM_ROUNDS) setImmediate(warmUp, round + 1);
}

/** A checker that fails must not take cells with it. */
function errorsOf({ code, cell }: CellText): readonly PlacedMessage[] {
  try {
    return checker.check(code, cell);
  } catch {
    return [];
  }
}
