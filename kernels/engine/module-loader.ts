/**
 * Loads what cells import, from the notebook's folder: Node's own modules, packages (CommonJS, ES modules, packages
 * that have an "import" condition only), local JavaScript, and local TypeScript, which is compiled like cells and loaded
 * again once it, or a local file that it imports, has changed.
 */
import { statSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { dirname, extname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { constants, Script } from 'node:vm';
import { attempt } from '../../src/errors';
import { packageRoot } from '../../src/package';
import type { LocalModules } from './local-modules';
import { isInstalled } from './packages';

/** A loaded module, by the three ways that an import statement can reach into it. */
export interface Loaded {
  /** `import { x }`: `named.x`. */
  readonly named: Record<string, unknown>;
  /** `import x`. */
  readonly default: unknown;
  /** `import * as x`. */
  readonly star: unknown;
}

const TYPESCRIPT = ['.ts', '.mts', '.cts'];
const TRIED = ['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs', '.json', '.node'];
/** A specifier that names the JavaScript which a build would make of a TypeScript file. */
const BUILT: Readonly<Record<string, string>> = { '.js': '.ts', '.mjs': '.mts', '.cjs': '.cts' };

export class ModuleLoader {
  /** Loads local TypeScript. Set once, right after both are made. */
  local!: LocalModules;

  /**
   * @param from the folder that relative names start from
   * @param importing the local files that are being loaded and wait for this one
   */
  async import(specifier: string, from: string, importing: readonly string[] = []): Promise<Loaded> {
    const path = localPath(specifier, from);
    if (path === undefined) return this.#package(specifier, from);
    const file = withExtension(path);
    if (file === undefined) throw notFound(specifier, from);
    if (TYPESCRIPT.includes(extname(file))) return this.local.load(file, importing);
    return this.#javascript(file);
  }

  /** Resolves a specifier to the local file that it names, if it names one. */
  fileOf(specifier: string, from: string): string | undefined {
    const path = localPath(specifier, from);
    return path === undefined ? undefined : withExtension(path);
  }

  async #package(specifier: string, from: string): Promise<Loaded> {
    const require = createRequire(join(from, 'cell.js'));
    if (Module.isBuiltin(specifier)) return fromCommonJs(require(specifier));
    let path: string;
    try {
      path = require.resolve(specifier);
    } catch (error) {
      // What the notebook's folder lacks may be one of our own dependencies: those work in every notebook.
      const place = createRequire(join(packageRoot(), 'package.json'));
      const ours = attempt(() => place.resolve(specifier));
      if (ours !== undefined) return this.#requireOrImport(require, ours);
      const lookups = require.resolve.paths(specifier) ?? [];
      if (isNotFound(error) && !specifier.startsWith('#') && !isInstalled(specifier, lookups))
        throw notFound(specifier, from);
      // What "require" cannot find, a package that has only an "import" condition for instance, Node's import may.
      return nodeImport(specifier, from).then(fromNamespace, (reason: Error) => {
        throw isNotFound(error) && isNotFound(reason) ? notFound(specifier, from) : reason;
      });
    }
    return this.#requireOrImport(require, path);
  }

  /** The CommonJS or JSON module that a local file was loaded as; another one once it is loaded again. */
  loaded(path: string): object | undefined {
    return createRequire(path).cache[path];
  }

  /** Whether a local CommonJS or JSON file has changed since it was loaded, or a local one below it has. */
  hasChanged(path: string, seen = new Set<string>()): boolean {
    const module = this.loaded(path) as StampedModule | undefined;
    if (!module || seen.has(path)) return false;
    seen.add(path);
    if (module[STAMP] !== undefined && (!isFile(path) || module[STAMP] !== stampOf(path))) return true;
    return localChildren(module).some(({ filename }) => this.hasChanged(filename, seen));
  }

  #javascript(path: string): Promise<Loaded> {
    const require = createRequire(path);
    this.#forgetChanged(path);
    return this.#requireOrImport(require, path, stampOf(path));
  }

  /** Has `require` load what has changed again, and what has it below. */
  #forgetChanged(path: string): void {
    if (!this.hasChanged(path)) return;
    const { cache } = createRequire(path);
    const children = localChildren(cache[path] as StampedModule);
    delete cache[path];
    for (const { filename } of children) this.#forgetChanged(filename);
  }

  async #requireOrImport(require: NodeJS.Require, path: string, stamp?: string): Promise<Loaded> {
    if (!isEsModule(path)) {
      try {
        const loaded = fromCommonJs(require(path));
        const module = require.cache[path] as StampedModule | undefined;
        if (module && stamp !== undefined) mark(module);
        return loaded;
      } catch (error) {
        if (!isEsSyntax(error)) throw error;
      }
    }
    const url = pathToFileURL(path).href;
    return fromNamespace(await nodeImport(stamp === undefined ? url : `${url}?${stamp}`, dirname(path)));
  }
}

/** Marks a module of the require cache with the state of its file when it was loaded. */
const STAMP = Symbol('patchwise.stamp');

type StampedModule = NodeModule & { [STAMP]?: string };

/** Marks a module and the local ones below it. */
function mark(module: StampedModule): void {
  if (module[STAMP] !== undefined || !isFile(module.filename)) return;
  module[STAMP] = stampOf(module.filename);
  for (const child of localChildren(module)) mark(child);
}

function localChildren({ children }: NodeModule): StampedModule[] {
  return children.filter(({ filename }) => !/[\\/]node_modules[\\/]/.test(filename));
}

/** Changes whenever the file does. */
export function stampOf(path: string): string {
  const { mtimeMs, size } = statSync(path);
  return `${mtimeMs}-${size}`;
}

type Import = (specifier: string) => Promise<unknown>;
/** By the folder that it resolves from: V8 keeps every script that it has compiled, so one has to do. */
const nodeImports = new Map<string, Import>();

/** Node's own `import()`, resolving as from a file in `folder`. */
function nodeImport(specifier: string, folder: string): Promise<unknown> {
  const { emitWarning } = process;
  process.emitWarning = () => {}; // that the constant below is experimental in Node 20: nothing a cell should be told
  try {
    const importFrom = nodeImports.get(folder) ?? newImport(folder);
    nodeImports.set(folder, importFrom);
    return importFrom(specifier);
  } finally {
    process.emitWarning = emitWarning;
  }
}

function newImport(folder: string): Import {
  const script = new Script('(specifier) => import(specifier)', {
    filename: join(folder, 'cell.js'),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  return script.runInThisContext() as Import;
}

function fromNamespace(namespace: unknown): Loaded {
  const named = namespace as Record<string, unknown>;
  return { named, default: named.default, star: named };
}

function fromCommonJs(exports: unknown): Loaded {
  const named = Object(exports) as Record<string, unknown>;
  return { named, default: named.__esModule ? named.default : exports, star: exports };
}

/** What `import()` gives: an ES module's own namespace, or one made of what a CommonJS module exports. */
export function namespaceOf({ named, default: fallback, star }: Loaded): unknown {
  if (Object.prototype.toString.call(star) === '[object Module]') return star;
  return { ...named, default: fallback };
}

function localPath(specifier: string, from: string): string | undefined {
  if (specifier.startsWith('file:')) return fileURLToPath(specifier);
  if (isAbsolute(specifier)) return specifier;
  return /^\.\.?(\/|$)/.test(specifier) ? resolve(from, specifier) : undefined;
}

function withExtension(path: string): string | undefined {
  const built = BUILT[extname(path)];
  const source = built && path.slice(0, -extname(path).length) + built;
  const candidates = [
    path,
    ...(source ? [source] : []),
    ...TRIED.map((extension) => path + extension),
    ...TRIED.map((extension) => join(path, `index${extension}`)),
  ];
  return candidates.find(isFile);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function isEsModule(path: string): boolean {
  if (path.endsWith('.mjs')) return true;
  if (!path.endsWith('.js')) return false;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (isFile(manifest)) return (createRequire(manifest)(manifest) as { type?: string }).type === 'module';
    if (folder === dirname(folder) || folder.endsWith('node_modules')) return false;
  }
}

/** ES syntax in a file that nothing declares to be an ES module: Node's `import` finds that out by itself. */
function isEsSyntax(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  const names = /import statement|Unexpected token 'export'|import\.meta/;
  const isSyntax = error instanceof SyntaxError && names.test(message);
  return isSyntax || code === 'ERR_REQUIRE_ESM' || code === 'ERR_REQUIRE_ASYNC_MODULE';
}

function isNotFound(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND';
}

function notFound(specifier: string, from: string): Error {
  return Object.assign(new Error(`Cannot find module '${specifier}' from ${from}`), {
    code: 'MODULE_NOT_FOUND',
  });
}
