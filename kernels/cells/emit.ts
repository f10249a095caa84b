/**
 * TypeScript's emitter for single files, without a program each time. `transpileModule` makes a program and a checker
 * for every text, which takes most of its time; here one checker answers for all of them what little the emitter asks.
 */
import type * as TypeScript from 'typescript';
import type { PlacedMessage } from './compile';
import { bound } from './syntax';
import type { Typescript } from './typescript';

export interface Emitted {
  readonly text: string;
  readonly map: string;
}

export type SourceTransformer = TypeScript.TransformerFactory<TypeScript.SourceFile>;

/** The parts of TypeScript's emitter; not among its public types, so typed here by what we give them. */
interface Internals {
  getSetExternalModuleIndicator(options: object): (file: TypeScript.SourceFile) => void;
  getTransformers(options: object, custom: undefined, emitOnly: undefined): { scriptTransformers: unknown[] };
  transformNodes(
    resolver: object,
    host: object,
    factory: TypeScript.NodeFactory,
    options: object,
    nodes: readonly TypeScript.Node[],
    transformers: readonly unknown[],
    allowDeclarations: boolean,
  ): Transformation;
  createPrinter(
    options: object,
    handlers: object,
  ): { writeFile(file: TypeScript.Node, writer: Writer, map: object): void };
  createTextWriter(newLine: string): Writer;
  createSourceMapGenerator(host: object, file: string, root: string, folder: string, options: object): object;
}

interface Transformation {
  readonly transformed: readonly TypeScript.Node[];
  readonly emitNodeWithNotification: unknown;
  readonly isEmitNotificationEnabled: unknown;
  readonly substituteNode: unknown;
  dispose(): void;
}

interface Writer {
  getText(): string;
}

interface Resolver {
  readonly hasGlobalName: unknown;
}

export class CellEmitter {
  readonly options: TypeScript.CompilerOptions;
  readonly #internals: Internals;
  readonly #resolver: Resolver;
  readonly #host: object;

  constructor(readonly typescript: Typescript) {
    const ts = typescript;
    this.#internals = ts as unknown as Internals;
    this.options = {
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
    this.#resolver = this.#makeResolver();
    this.#host = emitHost(this.options);
  }

  /** Parses a text as a module and works out its scopes. */
  parse(code: string, fileName: string): TypeScript.SourceFile {
    const ts = this.typescript;
    const setExternalModuleIndicator = this.#internals.getSetExternalModuleIndicator(this.options);
    const options = { languageVersion: ts.ScriptTarget.ES2022, setExternalModuleIndicator };
    return bound(ts, ts.createSourceFile(fileName, code, options, true, ts.ScriptKind.TS), this.options);
  }

  syntaxErrors(file: TypeScript.SourceFile): PlacedMessage[] {
    const { parseDiagnostics } = file as unknown as { parseDiagnostics: readonly TypeScript.Diagnostic[] };
    return parseDiagnostics.map(({ start, messageText }) => ({
      offset: start ?? 0,
      text: this.typescript.flattenDiagnosticMessageText(messageText, '\n'),
    }));
  }

  emit(file: TypeScript.SourceFile, transformer: SourceTransformer): Emitted {
    const { typescript: ts, options } = this;
    const { scriptTransformers } = this.#internals.getTransformers(options, undefined, undefined);
    const transformers = [transformer, ...scriptTransformers];
    const { factory } = ts;
    const done = this.#internals.transformNodes(
      this.#resolver,
      this.#host,
      factory,
      options,
      [file],
      transformers,
      false,
    );
    const printer = this.#internals.createPrinter(
      { removeComments: false, newLine: ts.NewLineKind.LineFeed, sourceMap: true },
      {
        hasGlobalName: this.#resolver.hasGlobalName,
        onEmitNode: done.emitNodeWithNotification,
        isEmitNotificationEnabled: done.isEmitNotificationEnabled,
        substituteNode: done.substituteNode,
      },
    );
    const map = this.#internals.createSourceMapGenerator(this.#host, 'cell.js', '', '', options);
    const writer = this.#internals.createTextWriter('\n');
    printer.writeFile(done.transformed[0]!, writer, map);
    done.dispose();
    return { text: writer.getText(), map: String(map) };
  }

  #makeResolver(): Resolver {
    const ts = this.typescript;
    const path = '/cell.ts';
    const file = ts.createSourceFile(path, '', ts.ScriptTarget.ES2022);
    const program = ts.createProgram([path], this.options, {
      getSourceFile: (name) => (name === path ? file : undefined),
      getDefaultLibFileName: () => 'lib.d.ts',
      getCurrentDirectory: () => '/',
      getCanonicalFileName: (name) => name,
      useCaseSensitiveFileNames: () => true,
      getNewLine: () => '\n',
      fileExists: (name) => name === path,
      readFile: () => undefined,
      writeFile: () => {},
    });
    const checker = program.getTypeChecker() as unknown as {
      getEmitResolver(file: undefined, token: undefined, skipCheck: boolean): Resolver;
    };
    return checker.getEmitResolver(undefined, undefined, true);
  }
}

/** What the emitter asks about the files around: there are none. */
function emitHost(options: TypeScript.CompilerOptions): object {
  return {
    getCompilerOptions: () => options,
    getCurrentDirectory: () => '/',
    getCommonSourceDirectory: () => '/',
    getCanonicalFileName: (name: string) => name,
    useCaseSensitiveFileNames: () => true,
    getSourceFile: () => undefined,
    getSourceFiles: () => [],
    getEmitModuleFormatOfFile: () => options.module,
    getDefaultResolutionModeForFile: () => undefined,
    getModeForResolutionAtIndex: () => undefined,
    isSourceFileFromExternalLibrary: () => false,
    getLibFileFromReference: () => undefined,
    getRedirectFromSourceFile: () => undefined,
    isEmitBlocked: () => false,
    readFile: () => undefined,
    fileExists: () => false,
  };
}
