/** Worker thread of the TypeScript engine: takes cells and local modules from TypeScript to JavaScript. No types. */
import { readFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { type CompiledCell, compileCell, compileModule } from './cell-compile';
import { completenessOf } from './cell-completeness';
import { CellEmitter } from './cell-emit';
import type { Completeness } from './engine';
import { serve } from './thread-client';
import { loadTypescript } from './typescript-load';

export interface CellSourceText {
  readonly code: string;
  readonly fileName: string;
}

/** What the main thread asks of this one. */
export type CompilerCalls = {
  cell(source: CellSourceText): CompiledCell;
  module(path: string): CompiledCell & { readonly source: string };
  completeness(code: string): Completeness;
  /** The names that a cell has given to later ones. */
  given(names: readonly string[]): void;
};

const { typescript, keep } = loadTypescript('compiler');
const emitter = new CellEmitter(typescript);
const known = new Set<string>();

const calls: CompilerCalls = {
  cell: ({ code, fileName }) => compileCell(emitter, code, fileName, known),
  module: (path) => {
    const source = readFileSync(path, 'utf8');
    return { ...compileModule(emitter, source, path), source };
  },
  completeness: (code) => completenessOf(emitter, code),
  given: (names) => {
    for (const name of names) known.add(name);
  },
};

// V8 compiles a function when it is first called: not while the first cell waits.
const text =
  'import { a } from "b"; const c: number = await a(1); function f(x: string) { for (const y of x) y } ({ c })';
for (let n = 0; n < 3; n++) compileCell(emitter, text, 'cell-0.ts', known);
serve(parentPort!, calls);
keep();
