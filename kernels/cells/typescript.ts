/** The version of TypeScript, which is all that this file has at run time, and types of internals that we use. */
import type ts from 'typescript';

export const TYPESCRIPT_VERSION = (require('typescript/package.json') as { version: string }).version;

declare module 'typescript' {
  interface Node {
    /** The names that the binder has found in a scope. */
    readonly locals?: ts.SymbolTable;
    readonly symbol?: ts.Symbol;
  }
  interface Symbol {
    /** What is exported is bound twice. This symbol knows what it is. */
    readonly exportSymbol?: ts.Symbol;
  }
  interface SourceFile {
    /** Every identifier of the text. */
    readonly identifiers: ReadonlyMap<string, string>;
    readonly parseDiagnostics: readonly ts.DiagnosticWithLocation[];
    readonly imports?: readonly ts.StringLiteralLike[];
  }
  interface EmitResolver {
    readonly hasGlobalName: ts.PrintHandlers['hasGlobalName'];
  }
  interface TypeChecker {
    getEmitResolver(file: undefined, token: undefined, skipCheck: boolean): EmitResolver;
  }
  interface TextWriter {
    getText(): string;
  }
  interface Printer {
    writeFile(file: ts.Node, writer: TextWriter, map: object): void;
  }
  interface NodeTransformation extends ts.PrintHandlers {
    readonly transformed: readonly ts.Node[];
    readonly emitNodeWithNotification: ts.PrintHandlers['onEmitNode'];
    dispose(): void;
  }

  function bindSourceFile(file: ts.SourceFile, options: ts.CompilerOptions): void;
  function getSetExternalModuleIndicator(options: ts.CompilerOptions): (file: ts.SourceFile) => void;
  function isExpressionNode(node: ts.Node): boolean;
  function isAssignmentTarget(node: ts.Node): boolean;
  function isAssignmentOperator(kind: ts.SyntaxKind): boolean;
  type Counting = (ts.PrefixUnaryExpression | ts.PostfixUnaryExpression) & {
    operator: ts.PostfixUnaryOperator;
  };
  function isUnaryExpressionWithWrite(node: ts.Node): node is Counting;
  function isGlobalScopeAugmentation(node: ts.ModuleDeclaration): boolean;
  /** True for parentheses, casts and the like, which make no difference to the value in them. */
  function isOuterExpression(node: ts.Node): boolean;
  function skipOuterExpressions(node: ts.Node): ts.Node;
  /** The import, of whichever form, that a literal is the module of. */
  function tryGetImportFromModuleSpecifier(node: ts.StringLiteralLike): ts.Node | undefined;
  function createGetCanonicalFileName(isCaseSensitive: boolean): (name: string) => string;

  type Transformers = readonly ts.TransformerFactory<ts.SourceFile>[];
  function getTransformers(options: ts.CompilerOptions): { readonly scriptTransformers: Transformers };
  type Work = [
    EmitResolver,
    host: object,
    ts.NodeFactory,
    ts.CompilerOptions,
    ts.Node[],
    Transformers,
    dts: boolean,
  ];
  function transformNodes(...work: Work): NodeTransformation;
  function createTextWriter(newLine: string): TextWriter;
  type MapOf = [host: object, file: string, root: string, folder: string, ts.CompilerOptions];
  function createSourceMapGenerator(...of: MapOf): object;
}
