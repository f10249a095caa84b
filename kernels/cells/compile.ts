/**
 * Compiles a cell, or a local module, to one function of JavaScript. TypeScript's own emitter removes the
 * types. Before that our transformer (transform.ts) puts imports, the names of other cells and the last value into a form
 * that runs inside a function.
 */
import ts from 'typescript';
import { emit, options } from './emit';
import type { InnerNames } from './inner-names';
import type { Insertion } from './source';
import { parsed } from './syntax';
import { transformCell } from './transform';

export interface CompiledCell {
  /** An expression: a function that takes what `given` names and returns the function that runs the cell. */
  readonly code: string;
  readonly map: string;
  readonly insertions: readonly Insertion[];
  /** What it imports; the modules are to be passed to the factory in this order. */
  readonly imports: readonly string[];
  /** If there are any, nothing else of the result counts. */
  readonly syntaxErrors: readonly PlacedMessage[];
}

/** A message of the compiler about `code`, at an offset of it. */
export interface PlacedMessage {
  readonly offset: number;
  readonly text: string;
}

const TOO_DEEP =
  'This code is nested too deeply for the compiler. Split it into several statements, or put the terms of a long sum ' +
  'into an array.';

/** @param known the names that earlier cells have declared; undefined for a local `.ts` file that cells import */
export function compile(
  code: string,
  fileName: string,
  known: ReadonlySet<string> | undefined,
): CompiledCell {
  try {
    return compiled(code, fileName, known);
  } catch (error) {
    if (!isTooDeep(error)) throw error;
    return failed([{ offset: 0, text: TOO_DEEP }]);
  }
}

/** True for the error of a compiler whose stack is too small for the code. */
export function isTooDeep(error: unknown): boolean {
  return error instanceof RangeError && error.message.includes('call stack');
}

function failed(syntaxErrors: readonly PlacedMessage[]): CompiledCell {
  return { code: '', map: '', insertions: [], imports: [], syntaxErrors };
}

/** What a compiled cell is given. A cell may have variables of the same names: its own come first. */
function given(inner: InnerNames): string {
  const names = (['cells', 'declare', 'star', 'modules'] as const).map((name) => `${name}: ${inner(name)}`);
  const more = `dynamicImport: ${inner('import')}, meta: ${inner('meta')}`;
  return `{ ${names.join(', ')}, ${more}, require, filename: __filename, dirname: __dirname }`;
}

function compiled(code: string, fileName: string, known: ReadonlySet<string> | undefined): CompiledCell {
  const file = parsed(fileName.replace(/\.[mc]ts$/, '.ts'), code, options);
  if (file.parseDiagnostics.length > 0)
    return failed(
      file.parseDiagnostics.map(({ start, messageText }) => ({
        offset: start,
        text: ts.flattenDiagnosticMessageText(messageText, '\n'),
      })),
    );
  let form!: ReturnType<typeof transformCell>;
  const { text, map } = emit(file, (context) => (original) => {
    form = transformCell(context, original, known);
    return form.file;
  });
  const { imports, declarations, isAsync, inner } = form;
  const modules = imports.map((_, at) => inner(`m${at}`)).join(', ');
  const start =
    `(function (${given(inner)}) { const [${modules}] = ${inner('modules')}; ` +
    `return ${isAsync ? 'async ' : ''}function () { "use strict"; ${declarations}`;
  return {
    code: `${start}${withoutMark(text)}\n}; })`,
    map,
    insertions: [{ line: 1, column: 1, length: start.length }],
    imports,
    syntaxErrors: [],
  };
}

const MARK = 'export {};';

/** Without the emitter's mark of a module that exports nothing. It stands after the last statement, before comments. */
function withoutMark(text: string): string {
  const at = [...text.matchAll(/^export \{\};$/gm)].at(-1)?.index;
  return at === undefined ? text : text.slice(0, at) + text.slice(at + MARK.length);
}
