/** What a thread with a copy of TypeScript answers about the code of cells and local modules. No types. */
import { readFileSync } from 'node:fs';
import { type CompiledCell, compile } from '../cells/compile';
import { completenessOf } from '../cells/completeness';

export interface CellSourceText {
  readonly code: string;
  readonly fileName: string;
}

const known = new Set<string>();

export const compilerCalls = {
  cell: ({ code, fileName }: CellSourceText): CompiledCell => compile(code, fileName, known),
  module(path: string): CompiledCell & { readonly source: string } {
    const source = readFileSync(path, 'utf8');
    return { ...compile(source, path, undefined), source };
  },
  completeness: completenessOf,
  /** The names that a cell has given to later ones. */
  names(given: readonly string[]): void {
    for (const name of given) known.add(name);
  },
};

// V8 compiles a function when it is first called: not while the first cell waits.
const text =
  'import { a } from "b"; const c: number = await a(1); function f(x: string) { for (const y of x) y } ({ c })';
for (let n = 0; n < 3; n++) compile(text, 'cell-0.ts', known);
