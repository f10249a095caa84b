/** What a thread with a copy of TypeScript answers about the code of cells and local modules. No types. */
import { readFileSync } from 'node:fs';
import { type CompiledCell, compileCell, compileModule } from '../cells/compile';
import { completenessOf } from '../cells/completeness';
import { CellEmitter } from '../cells/emit';
import type { Completeness } from '../cells/engine';
import type { Typescript } from '../cells/typescript';

export interface CellSourceText {
  readonly code: string;
  readonly fileName: string;
}

export type CompilerCalls = {
  cell(source: CellSourceText): CompiledCell;
  module(path: string): CompiledCell & { readonly source: string };
  completeness(code: string): Completeness;
  /** The names that a cell has given to later ones. */
  names(given: readonly string[]): void;
};

export function compilerCalls(typescript: Typescript): CompilerCalls {
  const emitter = new CellEmitter(typescript);
  const known = new Set<string>();
  // V8 compiles a function when it is first called: not while the first cell waits.
  const text =
    'import { a } from "b"; const c: number = await a(1); function f(x: string) { for (const y of x) y } ({ c })';
  for (let n = 0; n < 3; n++) compileCell(emitter, text, 'cell-0.ts', known);
  return {
    cell: ({ code, fileName }) => compileCell(emitter, code, fileName, known),
    module: (path) => {
      const source = readFileSync(path, 'utf8');
      return { ...compileModule(emitter, source, path), source };
    },
    completeness: (code) => completenessOf(emitter, code),
    names: (given) => {
      for (const name of given) known.add(name);
    },
  };
}
