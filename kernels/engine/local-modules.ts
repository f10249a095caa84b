/** Local TypeScript files that cells import: compiled like cells, and kept until they or their imports change. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { CompiledCell } from '../cells/compile';
import type { CellSources } from '../cells/source';
import { factoryOf } from './factory';
import { type Loaded, type ModuleLoader, namespaceOf, stampOf } from './module-loader';

type CompileModule = (path: string) => Promise<CompiledCell & { readonly source: string }>;

interface LocalModule {
  readonly stamp: string;
  /** The local files that it imports, as what they were loaded then. */
  readonly imports: Map<string, object | undefined>;
  readonly loaded: Loaded;
  readonly evaluated: Promise<void>;
}

export class LocalModules {
  readonly #modules = new Map<string, LocalModule>();

  constructor(
    private readonly loader: ModuleLoader,
    private readonly compile: CompileModule,
    private readonly sources: CellSources,
  ) {}

  /** @param importing the files that wait for this one: one of them, in a circle, is given as far as it has got */
  async load(path: string, importing: readonly string[]): Promise<Loaded> {
    const known = this.#modules.get(path);
    if (known && importing.includes(path)) return known.loaded;
    if (known && importing.length === 0 && this.#hasChanged(path)) this.#forget(path);
    let module = this.#modules.get(path);
    if (!module) {
      module = await this.#start(path, importing);
      module.evaluated.catch(() => this.#modules.delete(path)); // the next cell that asks for it tries again
    }
    await module.evaluated;
    return module.loaded;
  }

  async #start(path: string, importing: readonly string[]): Promise<LocalModule> {
    const stamp = stampOf(path);
    const compiled = await this.compile(path);
    const [error] = compiled.syntaxErrors;
    if (error) {
      const line = compiled.source.slice(0, error.offset).split('\n').length;
      throw new SyntaxError(`${path}:${line}: ${error.text}`);
    }
    this.sources.addFile(path, { ...compiled, code: compiled.source, maps: [compiled.map], linesAbove: 0 });
    const folder = dirname(path);
    const exports = Object.create(null) as Record<string, unknown>;
    const declare = (accessors: object): void =>
      void Object.defineProperties(exports, Object.getOwnPropertyDescriptors(accessors));
    const star = (namespace: object): void => {
      for (const key of Object.keys(Object(namespace))) {
        if (key === 'default' || key in exports) continue;
        const get = (): unknown => (namespace as Record<string, unknown>)[key];
        Object.defineProperty(exports, key, { get, enumerable: true, configurable: true });
      }
    };
    const loaded = {
      named: exports,
      star: exports,
      get default() {
        return exports.default;
      },
    };
    const evaluate = async (): Promise<void> => {
      const modules: Loaded[] = [];
      for (const specifier of compiled.imports) {
        modules.push(await this.loader.import(specifier, folder, [...importing, path]));
        const file = this.loader.fileOf(specifier, folder);
        if (file !== undefined) module.imports.set(file, this.#present(file));
      }
      const factory = factoryOf(compiled, path);
      const dynamicImport = (specifier: string): Promise<unknown> =>
        this.loader.import(specifier, folder).then(namespaceOf);
      const place = { filename: path, dirname: folder };
      const meta = { ...place, url: pathToFileURL(path).href };
      const require = createRequire(path);
      await factory({ declare, star, modules, dynamicImport, meta, require, ...place })();
    };
    // Known before it is evaluated, for the modules that import it in a circle.
    const evaluated = Promise.resolve().then(evaluate);
    const module: LocalModule = { stamp, imports: new Map(), loaded, evaluated };
    this.#modules.set(path, module);
    return module;
  }

  #hasChanged(path: string, seen: readonly string[] = []): boolean {
    const module = this.#modules.get(path);
    if (!module || !existsSync(path) || stampOf(path) !== module.stamp) return true;
    return [...module.imports].some(([file, then]) => {
      if (this.#present(file) !== then) return true; // loaded again since
      if (!this.#modules.has(file)) return this.loader.hasChanged(file);
      return !seen.includes(file) && this.#hasChanged(file, [...seen, path]);
    });
  }

  /** What a local file is loaded as now: TypeScript here, everything else by Node. */
  #present(file: string): object | undefined {
    return this.#modules.get(file) ?? this.loader.loaded(file);
  }

  /** Forgets the module and those of its imports that have changed or import something that has. */
  #forget(path: string): void {
    const module = this.#modules.get(path);
    if (!module) return;
    const changed = [...module.imports].filter(([file]) => this.#modules.has(file) && this.#hasChanged(file));
    this.#modules.delete(path);
    for (const [file] of changed) this.#forget(file);
  }
}
