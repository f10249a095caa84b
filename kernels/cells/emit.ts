/**
 * TypeScript's emitter for single files, without a program each time. `transpileModule` makes a program and a checker
 * for every text, which takes most of its time; here one checker answers for all of them what little the emitter asks.
 */
import ts from 'typescript';

export const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  moduleDetection: ts.ModuleDetectionKind.Force,
  verbatimModuleSyntax: true, // an import may be of use to a later cell only
  isolatedModules: true,
  noLib: true,
  noCheck: true,
  sourceMap: true,
  types: [],
};

const PATH = '/cell.ts';
const empty = ts.createSourceFile(PATH, '', ts.ScriptTarget.ES2022);
/** Answers what the program and the emitter ask about the files around: there are none. */
const host: ts.CompilerHost & { getEmitModuleFormatOfFile(): unknown } = {
  getEmitModuleFormatOfFile: () => options.module,
  getSourceFile: (name) => (name === PATH ? empty : undefined),
  getDefaultLibFileName: () => 'lib.d.ts',
  getCurrentDirectory: () => '/',
  getCanonicalFileName: (name) => name,
  useCaseSensitiveFileNames: () => true,
  getNewLine: () => '\n',
  fileExists: (name) => name === PATH,
  readFile: () => undefined,
  writeFile: () => {},
};
const checker = ts.createProgram([PATH], options, host).getTypeChecker();
const resolver = checker.getEmitResolver(undefined, undefined, true);

/** The JavaScript of a file that `transformer` has changed, with its source map. */
export function emit(file: ts.SourceFile, transformer: ts.TransformerFactory<ts.SourceFile>) {
  const transformers = [transformer, ...ts.getTransformers(options).scriptTransformers];
  const done = ts.transformNodes(resolver, host, ts.factory, options, [file], transformers, false);
  const { hasGlobalName } = resolver;
  const handlers = { ...done, hasGlobalName, onEmitNode: done.emitNodeWithNotification };
  const printed = { removeComments: false, newLine: ts.NewLineKind.LineFeed, sourceMap: true };
  const map = ts.createSourceMapGenerator(host, 'cell.js', '', '', options);
  const writer = ts.createTextWriter('\n');
  ts.createPrinter(printed, handlers).writeFile(done.transformed[0]!, writer, map);
  done.dispose();
  return { text: writer.getText(), map: String(map) };
}
