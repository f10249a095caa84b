/**
 * The default CellEngine: stock TypeScript in threads of its own (checker/threads.ts). The main thread only runs what
 * comes back.
 *
 * A cell with a type error does not run, as in tslab. The checker loads when the kernel is first used, in about a
 * second. Cells do not wait for it: their type errors are printed below them as warnings. `TypeMode` can make every cell
 * wait, as for notebooks that run headless, or none.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { PACKAGE } from '../../src/package';
import type { CompiledCell, PlacedMessage } from '../cells/compile';
import type { CellEngine, CellOutcome, Completion, TypeMode } from '../cells/engine';
import { describer, stackOf, typeErrors } from '../cells/error';
import { type CellNames, CellScope } from '../cells/scope';
import { CellSources, cellFileName } from '../cells/source';
import { TYPESCRIPT_VERSION } from '../cells/typescript';
import { TypescriptThreads } from '../checker/threads';
import { tidyInspection } from '../display/odd-values';
import { Interrupts } from '../process/interrupts';
import { runInterruptible } from '../process/run-interruptible';
import { factoryOf } from './factory';
import { LocalModules } from './local-modules';
import { ModuleLoader, namespaceOf } from './module-loader';
import { prepareRequire } from './packages';
import { completionFromValues } from './value-completion';

/** After the first cell, so that it has the processor for itself. */
const LOAD_CHECKER_AFTER_MS = 200;
/** JupyterLab shows no completion that takes longer than a second. */
const FRONT_END_PATIENCE_MS = 500;

/** @param notebookFolder what local names in cells start from; the working directory of the kernel */
export function createTypescriptEngine(
  notebookFolder: string,
  interrupts = new Interrupts(),
  initialTypes: TypeMode = 'error',
): CellEngine {
  interrupts.expose();
  prepareRequire(notebookFolder);
  const require = createRequire(join(notebookFolder, 'cell.js'));
  const meta = {
    url: pathToFileURL(join(notebookFolder, 'cell.ts')).href,
    filename: join(notebookFolder, 'cell.ts'),
    dirname: notebookFolder,
  };
  const sources = new CellSources();
  tidyInspection((error) => stackOf(error, sources));
  const scope = new CellScope();
  scope.provide('pw', () => require(PACKAGE));
  const threads = new TypescriptThreads(notebookFolder, ['pw']);
  const loader = new ModuleLoader();
  loader.local = new LocalModules(loader, (path) => threads.compiler.ask('module', path), sources);

  let types = initialTypes;
  let unnumbered = 0;

  /** The type errors of a cell, once there is a checker. */
  function check(code: string, cell: string): Promise<PlacedMessage[]> {
    if (types === 'off') return Promise.resolve([]);
    if (types === 'strict') threads.wake();
    else if (!threads.isReady) setTimeout(threads.wake, LOAD_CHECKER_AFTER_MS).unref();
    return threads.check({ code, cell });
  }

  async function execute(code: string, cell: number): Promise<CellOutcome> {
    const name = cell === 0 ? `0-${++unnumbered}` : String(cell);
    try {
      return await interrupts.orInterrupted(run(code, name));
    } catch (error) {
      return { status: 'error', error: describe(error) };
    }
  }

  async function run(code: string, name: string): Promise<CellOutcome> {
    const source = { code, fileName: cellFileName(name), cell: name };
    const holds = types === 'strict' || (types === 'error' && threads.isReady);
    const compiling = holds ? threads.compileChecked(source) : threads.compile(source);
    const checking = holds ? Promise.resolve([]) : check(code, name);
    checking.catch(() => {}); // a checker that fails must not take cells with it
    const { compiled, errors } = await compiling;
    const problems = compiled.syntaxErrors.length > 0 ? compiled.syntaxErrors : errors;
    if (problems.length > 0) return { status: 'error', error: typeErrors(problems, code, name) };
    sources.add(name, { code, insertions: compiled.insertions, maps: [compiled.map], linesAbove: 0 });
    const warned = warn(checking, code, name);
    const names = scope.open();
    try {
      // An interrupted await may never end: later cells get what the cell has declared by then.
      const ended = await interrupts.orInterrupted(evaluate(compiled, name, names));
      if (threads.isReady) await warned;
      return { status: 'ok', value: ended?.[0] };
    } finally {
      threads.given(name, names.settle());
    }
  }

  async function evaluate(
    compiled: CompiledCell,
    name: string,
    { declare }: CellNames,
  ): Promise<readonly unknown[] | undefined> {
    const modules = [];
    for (const specifier of compiled.imports) modules.push(await loader.import(specifier, notebookFolder));
    interrupts.check(); // while it was compiled, or its modules loaded
    const factory = factoryOf(compiled, cellFileName(name));
    const dynamicImport = (specifier: string): Promise<unknown> =>
      loader.import(String(specifier), notebookFolder).then(namespaceOf);
    const { filename, dirname } = meta;
    const body = factory({
      cells: scope.names,
      declare,
      modules,
      dynamicImport,
      meta,
      require,
      filename,
      dirname,
    });
    return runInterruptible(body) as Promise<readonly unknown[] | undefined>;
  }

  /** Prints the type errors of a cell that did not wait for its types. */
  async function warn(checking: Promise<PlacedMessage[]>, code: string, name: string): Promise<void> {
    const errors = await checking.catch(() => []);
    if (errors.length === 0) return;
    const text = typeErrors(errors, code, name).traceback.join('\n');
    process.stderr.write(`TypeScript: ${text}\n`); // the context is still that of the cell
  }

  /** By types or, while these load, by the values at hand, before the front end gives up. */
  async function complete(code: string, position: number): Promise<Completion> {
    const byTypes = threads.wake().ask('complete', { code, position });
    if (threads.isReady) return byTypes;
    const answered = new AbortController();
    const patience = sleep(FRONT_END_PATIENCE_MS, undefined, { signal: answered.signal }).catch(() => {});
    const first = await Promise.race([byTypes.catch(() => {}), patience]);
    answered.abort();
    return first ?? completionFromValues(code, position, scope.names) ?? byTypes;
  }

  const describe = describer(sources);

  return {
    languageVersion: TYPESCRIPT_VERSION,
    // If the thread has failed, the cells fail with its reason.
    ready: async () => {
      await threads.compiler.ask('completeness', '').catch(() => {});
    },
    execute,
    complete,
    inspect: (code, position) => threads.wake().ask('inspect', { code, position }),
    isComplete: (code) => threads.compiler.ask('completeness', code),
    describe,
    setTypes: (mode) => {
      types = mode;
    },
    interrupt: () => {},
    close: () => threads.close(),
  };
}
