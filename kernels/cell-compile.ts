/**
 * Compiles a cell, or a local module, to one function of JavaScript. Types go, as TypeScript's own transpiler takes
 * them away; before it our transformer (cell-transform.ts) has put imports, the names of other cells and the last value
 * into a form that runs inside of a function.
 */
import type * as TypeScript from 'typescript';
import type { Insertion } from './cell-source';
import { type CellForm, transformCell } from './cell-transform';
import type { Typescript } from './typescript-load';

export interface CompiledCell {
  /** An expression: a function that takes what GIVEN names and returns the function that runs the cell. */
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
const GIVEN =
  '{ cells: __cells, declare: __declare, star: __star, modules: __modules, dynamicImport: __import, meta: __meta, ' +
  'require, filename: __filename, dirname: __dirname }';

export function compilerOptions(typescript: Typescript): TypeScript.CompilerOptions {
  return {
    target: typescript.ScriptTarget.ES2022,
    module: typescript.ModuleKind.ESNext,
    moduleDetection: typescript.ModuleDetectionKind.Force,
    verbatimModuleSyntax: true, // an import may be of use to a later cell only
    experimentalDecorators: false,
  };
}

/** @param known the names that earlier cells have declared */
export function compileCell(
  typescript: Typescript,
  code: string,
  fileName: string,
  known: ReadonlySet<string>,
): CompiledCell {
  return compile(typescript, code, { fileName, known, isModule: false });
}

/** A local `.ts` file that cells import. */
export function compileModule(typescript: Typescript, code: string, fileName: string): CompiledCell {
  return compile(typescript, code, { fileName, known: new Set(), isModule: true });
}

interface Source {
  readonly fileName: string;
  readonly known: ReadonlySet<string>;
  readonly isModule: boolean;
}

function compile(typescript: Typescript, code: string, { fileName, known, isModule }: Source): CompiledCell {
  let form: CellForm | undefined;
  const transformer: TypeScript.TransformerFactory<TypeScript.SourceFile> = (context) => (file) => {
    form = transformCell(typescript, context, file, { known, isModule });
    return form.file;
  };
  const { outputText, sourceMapText, diagnostics } = typescript.transpileModule(code, {
    fileName: fileName.replace(/\.[mc]ts$/, '.ts'),
    compilerOptions: { ...compilerOptions(typescript), sourceMap: true },
    transformers: { before: [transformer] },
    reportDiagnostics: true,
  });
  const syntaxErrors = (diagnostics ?? []).map(({ start, messageText }) => ({
    offset: start ?? 0,
    text: typescript.flattenDiagnosticMessageText(messageText, '\n'),
  }));
  const { imports = [], declarations = '', isAsync = false } = form ?? {};
  const modules = imports.map((_, at) => `__m${at}`).join(', ');
  const start =
    `(function (${GIVEN}) { const [${modules}] = __modules; ` +
    `return ${isAsync ? 'async ' : ''}function () { "use strict"; ${declarations}`;
  const body = outputText
    .replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '')
    .replace(/(^|\n)export \{\};\s*$/, '$1');
  return {
    code: `${start}${body}\n}; })`,
    map: sourceMapText ?? '',
    insertions: [{ line: 1, column: 1, length: start.length }],
    imports,
    isAsync,
    syntaxErrors,
  };
}
