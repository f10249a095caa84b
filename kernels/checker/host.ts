/** The files and settings of the checker's program: the notebook's folder, its imports, and our own package as `pw`. */
import { statSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { PACKAGE, packageRoot } from '../../src/package';
import { parsed } from '../cells/syntax';
import { libraryFiles, moreGlobals } from './node-library';

/** Brings `pw` and every module that cells import into the program. */
const ROOT = '~imports';

export class CheckerHost implements ts.LanguageServiceHost {
  readonly options: ts.CompilerOptions;
  readonly registry: ts.DocumentRegistry;
  readonly preloadedModule = ROOT;
  readonly #root: string;
  /** By import of a cell, its file; undefined if it was missing. */
  readonly #imports = new Map<string, string | undefined>();
  /** Imports of the program's local files that were missing. */
  #missing: readonly { readonly specifier: string; readonly from: string }[] = [];
  readonly #augmentations = new Map<string, string>();
  /** Local files of the program, which a person may edit, with their state when they were read. */
  readonly #local = new Map<string, string>();
  #cache: ts.ModuleResolutionCache;
  #files: ReadonlySet<string> = new Set();
  #version = 1;

  constructor(private readonly folder: string) {
    this.options = {
      target: ts.ScriptTarget.ES2022,
      lib: libraryFiles(),
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      moduleDetection: ts.ModuleDetectionKind.Force,
      strict: true,
      noImplicitAny: false, // as tslab has it: a cell is a sketch
      esModuleInterop: true,
      allowJs: true,
      allowImportingTsExtensions: true,
      resolveJsonModule: true,
      skipLibCheck: true,
      noEmit: true,
      types: ['node'],
      typeRoots: [join(folder, 'node_modules', '@types'), ourTypeRoot()],
    };
    this.#root = slashed(join(folder, `${ROOT}.ts`));
    const dom = join(dirname(ts.getDefaultLibFilePath(this.options)), 'lib.dom.d.ts');
    this.#augmentations.set(slashed(join(folder, '~node.d.ts')), moreGlobals(dom));
    this.registry = ts.createDocumentRegistry(true, folder);
    this.#cache = this.#newCache();
  }

  /** Parses a text as one of the program's files would be. */
  parse(path: string, text: string): ts.SourceFile {
    const file = parsed(path, text, this.options);
    return Object.assign(file, {
      path: ts.sys.useCaseSensitiveFileNames ? path : path.toLowerCase(),
      resolvedPath: path,
      originalFileName: path,
      version: '1',
      imports: importsOf(file),
      moduleAugmentations: [],
      ambientModuleNames: [],
    });
  }

  /**
   * Brings imported modules into the next program. Looks for them again each time, and for those that were missing
   * before: files come and go while a person works.
   */
  require(specifiers: readonly string[]): void {
    const cache = this.#newCache();
    for (const specifier of specifiers) {
      const path = this.#fileOf(specifier, this.#root, cache);
      const isNew = !this.#imports.has(specifier) && path !== undefined && !this.#files.has(path);
      if (isNew || (this.#imports.has(specifier) && this.#imports.get(specifier) !== path)) this.renew();
      this.#imports.set(specifier, path);
    }
    const absent = [...this.#imports].filter(([specifier, path]) => !path && !specifiers.includes(specifier));
    for (const [specifier] of absent) {
      const path = this.#fileOf(specifier, this.#root, cache);
      if (path === undefined) continue;
      this.#imports.set(specifier, path);
      this.renew();
    }
    if (this.#missing.some(({ specifier, from }) => this.#fileOf(specifier, from, cache))) this.renew();
    for (const [path, stamp] of this.#local) if (stampOf(path) !== stamp) this.renew();
  }

  #fileOf(specifier: string, from: string, cache: ts.ModuleResolutionCache): string | undefined {
    if (isBuiltin(specifier)) return undefined;
    return this.resolve(specifier, from, cache).resolvedModule?.resolvedFileName;
  }

  /** Code of a cell that changes the global scope or another module: a file of the program's own. */
  augment(name: string, code: string | undefined): void {
    if (code === undefined) return;
    this.#augmentations.set(slashed(join(this.folder, `${name}-globals.ts`)), code);
    this.renew();
  }

  /** The next use makes a new program and checker, of the same parsed files. */
  renew(): void {
    this.#version++;
    this.#local.clear();
    this.#cache = this.#newCache();
  }

  /** Notes what a new program is made of. */
  noteFiles(program: ts.Program): void {
    this.#files = new Set(program.getSourceFiles().map(({ fileName }) => fileName));
    this.#local.clear();
    const missing = [];
    for (const file of program.getSourceFiles()) {
      const { fileName: path } = file;
      if (!isLocal(path) || path.includes('~')) continue;
      this.#local.set(path, stampOf(path));
      for (const { text } of file.imports ?? [])
        if (!isBuiltin(text) && !this.#fileOf(text, path, this.#cache))
          missing.push({ specifier: text, from: path });
    }
    this.#missing = missing;
  }

  resolve(
    specifier: string,
    from = this.#root,
    cache = this.#cache,
  ): ts.ResolvedModuleWithFailedLookupLocations {
    const found = ts.resolveModuleName(specifier, from, this.options, this, cache);
    if (found.resolvedModule || /^[./]/.test(specifier)) return found;
    // What the notebook's folder lacks may be this package or one of its own dependencies (module-loader.ts).
    const place = slashed(join(packageRoot(), 'index.ts'));
    return ts.resolveModuleName(specifier, place, this.options, this, cache);
  }

  // What follows is the LanguageServiceHost.
  /** A new program looks again for what its unchanged local files import. Not among the public members of a host. */
  hasInvalidatedResolutions = (path: string): boolean => isLocal(path);
  getProjectVersion = (): string => String(this.#version);
  getCompilationSettings = (): ts.CompilerOptions => this.options;
  getCurrentDirectory = (): string => this.folder;
  getScriptFileNames = (): string[] => [this.#root, ...this.#augmentations.keys()];
  getDefaultLibFileName = ts.getDefaultLibFilePath;
  getScriptVersion = (path: string): string => {
    // A program of the same versions is taken for the same one: this file's makes every renewal a new one.
    if (path === this.#root) return String(this.#version);
    return this.#augmentations.has(path) || path.includes('/node_modules/') ? '1' : stampOf(path);
  };
  getScriptSnapshot = (path: string): ts.IScriptSnapshot | undefined => {
    const text = this.readFile(path);
    return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
  };
  readFile = (path: string): string | undefined => {
    if (path === this.#root) return this.#rootText();
    return this.#augmentations.get(path) ?? ts.sys.readFile(path);
  };
  fileExists = (path: string): boolean =>
    path === this.#root || this.#augmentations.has(path) || ts.sys.fileExists(path);
  directoryExists = ts.sys.directoryExists;
  getDirectories = ts.sys.getDirectories;
  readDirectory = ts.sys.readDirectory;
  realpath = ts.sys.realpath!;
  useCaseSensitiveFileNames = (): boolean => ts.sys.useCaseSensitiveFileNames;
  resolveModuleNameLiterals = (
    literals: readonly ts.StringLiteralLike[],
    containing: string,
  ): ts.ResolvedModuleWithFailedLookupLocations[] =>
    literals.map(({ text }) => this.resolve(text, containing));

  #rootText(): string {
    const imports = [...this.#imports.keys()].map((specifier) => `import ${JSON.stringify(specifier)};`);
    return `import * as pw from '${PACKAGE}';\nexport { pw };\n${imports.join('\n')}`;
  }

  #newCache(): ts.ModuleResolutionCache {
    const canonical = ts.createGetCanonicalFileName(ts.sys.useCaseSensitiveFileNames);
    return ts.createModuleResolutionCache(this.folder, canonical, this.options);
  }
}

/** The literals of the file's imports, `import()` and `typeof import()` among them: what a program notes of its files. */
function importsOf(file: ts.SourceFile): ts.StringLiteralLike[] {
  const found: ts.StringLiteralLike[] = [];
  const visit = (node: ts.Node): void => {
    const source = ts.isStringLiteralLike(node) && ts.tryGetImportFromModuleSpecifier(node);
    const isRequire = source && ts.isCallExpression(source) && ts.isIdentifier(source.expression);
    if (source && !isRequire) found.push(node as ts.StringLiteralLike);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** A file that a person may edit. The notebook may import from outside of its folder. */
function isLocal(path: string): boolean {
  return !path.includes('/node_modules/') && !path.startsWith(slashed(join(packageRoot(), 'dist')));
}

/** Where the types of Node are that came with this package. */
function ourTypeRoot(): string {
  return dirname(dirname(createRequire(__filename).resolve('@types/node/package.json')));
}

function stampOf(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats ? `${stats.mtimeMs}-${stats.size}` : 'gone';
}

function slashed(path: string): string {
  return path.replaceAll('\\', '/');
}
