/** Worker thread of the TypeScript engine: the types of cells, their completions and their documentation. */
import { parentPort, workerData } from 'node:worker_threads';
import type { PlacedMessage } from './cell-compile';
import { CellChecker } from './checker';
import type { Completion, Inspection } from './engine';
import { serve } from './thread-client';
import { loadTypescript } from './typescript-load';

export interface CellText {
  readonly code: string;
  /** Names the cell; each name once. */
  readonly cell: string;
}

export interface CursorText {
  readonly code: string;
  readonly position: number;
}

/** What the main thread asks of this one. */
export type CheckerCalls = {
  /** Resolves once the program is made. */
  prepare(nothing: undefined): void;
  check(cell: CellText): PlacedMessage[];
  given(of: { readonly cell: string; readonly names: readonly string[] }): void;
  complete(at: CursorText): Completion;
  inspect(at: CursorText): Inspection | undefined;
};

export interface CheckerData {
  readonly folder: string;
}

const { typescript, keep } = loadTypescript('checker');
const checker = new CellChecker(typescript, (workerData as CheckerData).folder);
let isPrepared = false;

const calls: CheckerCalls = {
  prepare: () => {
    if (isPrepared) return;
    isPrepared = true;
    checker.prepare();
    setImmediate(keep);
  },
  check: ({ code, cell }) => checker.check(code, cell),
  given: ({ cell, names }) => checker.given(cell, names),
  complete: ({ code, position }) => checker.complete(code, position),
  inspect: ({ code, position }) => checker.inspect(code, position),
};
serve(parentPort!, calls);
