/** Worker thread of the TypeScript engine: the types of cells, their completions and documentation; and it compiles. */
import { parentPort, workerData } from 'node:worker_threads';
import type { CompiledCell, PlacedMessage } from '../cells/compile';
import type { Completion, Inspection } from '../cells/engine';
import { loadTypescript } from '../cells/typescript';
import { serve } from '../process/thread-client';
import { CellChecker } from './checker';
import { type CellSourceText, type CompilerCalls, compilerCalls } from './compiler';

export interface CellText {
  readonly code: string;
  /** Names the cell; each name once. */
  readonly cell: string;
}

export interface CheckedCell {
  readonly compiled: CompiledCell;
  readonly errors: readonly PlacedMessage[];
}

export interface CursorText {
  readonly code: string;
  readonly position: number;
}

/** What the main thread asks of this one. */
export type CheckerCalls = CompilerCalls & {
  /** Resolves once the program is made. */
  prepare(nothing: undefined): void;
  check(cell: CellText): PlacedMessage[];
  /** Both steps of a cell that runs only without errors, in one answer; a cell that does not compile is not checked. */
  checkedCell(cell: CellText & CellSourceText): CheckedCell;
  given(of: { readonly cell: string; readonly names: readonly string[] }): void;
  complete(at: CursorText): Completion;
  inspect(at: CursorText): Inspection | undefined;
};

export interface CheckerData {
  readonly folder: string;
}

const { typescript, keep } = loadTypescript('checker');
const checker = new CellChecker(typescript, (workerData as CheckerData).folder);
const compiler = compilerCalls(typescript);
let isPrepared = false;
const WARM_ROUNDS = 30;

const calls: CheckerCalls = {
  ...compiler,
  prepare: () => {
    if (isPrepared) return;
    isPrepared = true;
    checker.prepare();
    setImmediate(keep);
    setImmediate(warmUp);
  },
  check: ({ code, cell }) => checker.check(code, cell),
  checkedCell: (source) => {
    const compiled = compiler.cell(source);
    return { compiled, errors: compiled.syntaxErrors.length > 0 ? [] : errorsOf(source) };
  },
  given: ({ cell, names }) => {
    compiler.names(names);
    checker.given(cell, names);
  },
  complete: ({ code, position }) => checker.complete(code, position),
  inspect: ({ code, position }) => checker.inspect(code, position),
};
serve(parentPort!, calls);

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
