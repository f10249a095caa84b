/**
 * Compiles a cell, or a local module, to one function of JavaScript. TypeScript's own emitter removes the
 * types. Before that our transformer (transform.ts) puts imports, the names of other cells and the last value into a form
 * that runs inside a function.
 */
import type { CellEmitter } from './emit';
import type { InnerNames } from './inner-names';
import type { Insertion } from './source';
import { type CellForm, transformCell } from './transform';

export interface CompiledCell {
  /** An expression: a function that takes what `given` names and returns the function that runs the cell. */
  readonly code: string;
  readonly map: string;
  readonly insertions: readonly Insertion[];
  /** What it imports; the modules are to be passed to the factory in this order. */
  readonly imports: readonly string[];
  /** It awaits at its top level: running it gives a promise. */
  readonly isAsync: boolean;
  /** What stands in the way of compiling it, placed; nothing else of the result counts then. */
  readonly syntaxErrors: readonly PlacedMessage[];
}

/** A message of the compiler about `code`, at an offset of it. */
export interface PlacedMessage {
  readonly offset: number;
  readonly text: string;
}

/** What a compiled cell is given. A cell may have variables of the same names: its own come first. */
function given({ cells, declare, star, modules, import: dynamicImport, meta }: InnerNames): string {
  return (
    `{ cells: ${cells}, declare: ${declare}, star: ${star}, modules: ${modules}, dynamicImport: ${dynamicImport}, ` +
    `meta: ${meta}, require, filename: __filename, dirname: __dirname }`
  );
}

/** @param known the names that earlier cells have declared */
export function compileCell(
  emitter: CellEmitter,
  code: string,
  fileName: string,
  known: ReadonlySet<string>,
): CompiledCell {
  return compile(emitter, code, { fileName, known, isModule: false });
}

/** A local `.ts` file that cells import. */
export function compileModule(emitter: CellEmitter, code: string, fileName: string): CompiledCell {
  return compile(emitter, code, { fileName, known: new Set(), isModule: true });
}

const NOTHING = { code: '', map: '', insertions: [], imports: [], isAsync: false };

interface Source {
  readonly fileName: string;
  readonly known: ReadonlySet<string>;
  readonly isModule: boolean;
}

const TOO_DEEP =
  'This code is nested too deeply for the compiler, as a sum of many thousand terms is: put the terms into an array, or ' +
  'the code into several statements.';

/** True for what a compiler throws whose stack is not large enough for the code. */
export function isTooDeep(error: unknown): boolean {
  return error instanceof RangeError && error.message.includes('call stack');
}

function compile(emitter: CellEmitter, code: string, source: Source): CompiledCell {
  try {
    return compiled(emitter, code, source);
  } catch (error) {
    if (!isTooDeep(error)) throw error;
    return { ...NOTHING, syntaxErrors: [{ offset: 0, text: TOO_DEEP }] };
  }
}

function compiled(emitter: CellEmitter, code: string, { fileName, known, isModule }: Source): CompiledCell {
  const { typescript } = emitter;
  const file = emitter.parse(code, fileName.replace(/\.[mc]ts$/, '.ts'));
  const syntaxErrors = emitter.syntaxErrors(file);
  if (syntaxErrors.length > 0) return { ...NOTHING, syntaxErrors };
  let form: CellForm | undefined;
  const { text, map } = emitter.emit(file, (context) => (original) => {
    form = transformCell(typescript, context, original, { known, isModule });
    return form.file;
  });
  const { imports, declarations, isAsync, names } = form!;
  const modules = imports.map((_, at) => names.module(at)).join(', ');
  const start =
    `(function (${given(names)}) { const [${modules}] = ${names.modules}; ` +
    `return ${isAsync ? 'async ' : ''}function () { "use strict"; ${declarations}`;
  const body = withoutMark(text);
  return {
    code: `${start}${body}\n}; })`,
    map,
    insertions: [{ line: 1, column: 1, length: start.length }],
    imports,
    isAsync,
    syntaxErrors,
  };
}

/** Without the emitter's mark of a module that exports nothing. It stands after the last statement, before comments. */
function withoutMark(text: string): string {
  const at = [...text.matchAll(/^export \{\};$/gm)].at(-1)?.index;
  return at === undefined ? text : text.slice(0, at) + text.slice(at + MARK.length);
}

const MARK = 'export {};';
