/**
 * The CellEngine on tslab 1.0.22. Of tslab we take the converter (its TypeScript
 * 5.0.4 compiles cells one after the other, each seeing the declarations before it) and the executor (runs them);
 * its kernel, which loses output and prints errors as text, we do not.
 */
import { createRequire } from 'node:module';
import { join, relative, sep } from 'node:path';
import type * as TypeScript from '@tslab/typescript-for-tslab';
import type { Converter } from 'tslab/dist/converter';
import type { Executor } from 'tslab/dist/executor';
import { attempt } from '../../src/errors';
import { PACKAGE, packageRoot } from '../../src/package';
import type { CellEngine, CellOutcome, Completeness, Completion, Inspection } from '../cells/engine';
import { describer, diagnosed, stackOf } from '../cells/error';
import { askAround, documentationOf } from '../cells/signature';
import { CellSources, cellFileName } from '../cells/source';
import { tidyInspection } from '../display/odd-values';
import { hasOwnPackage, prepareRequire } from '../engine/packages';
import type { Interrupts } from '../process/interrupts';
import { prepareCell, withLoopChecks } from './rewrite';
import { withSourceMaps } from './source-maps';

/**
 * The engine for a notebook in `notebookFolder`, which has to be the working directory: tslab resolves from there. The
 * first cell loads tslab. The kernel answers before that, and also if tslab cannot load: then each cell fails with the
 * reason.
 */
export function createTslabEngine(notebookFolder: string, interrupts: Interrupts): CellEngine {
  let engine: ReturnType<typeof load> | undefined;
  const sources = new CellSources();
  const describe = describer(sources);
  function loaded(): ReturnType<typeof load> {
    engine ??= load(notebookFolder, interrupts, sources, describe);
    return engine;
  }

  async function execute(code: string, cell: number): Promise<CellOutcome> {
    try {
      return await loaded().execute(code, cell);
    } catch (error) {
      return { status: 'error', error: describe(error) };
    }
  }

  return {
    languageVersion: '5.0.4', // of tslab 1.0.22
    ready: async () => {},
    execute,
    complete: (code, position) => loaded().complete(code, position),
    inspect: (code, position) => loaded().inspect(code, position),
    isComplete: (code) => loaded().isComplete(code),
    setTypes: (mode) => {
      if (mode !== 'error' && mode !== 'strict') throw new Error("tslab's type errors are errors always");
    },
    describe,
    interrupt: () => engine?.interrupt(),
    close: () => engine?.close(),
  };
}

function load(
  notebookFolder: string,
  interrupts: Interrupts,
  sources: CellSources,
  describe: CellEngine['describe'],
) {
  interrupts.expose();
  const tslab = createRequire(require.resolve('tslab/package.json'));
  const typescriptPath = tslab.resolve('@tslab/typescript-for-tslab');
  const typescript = tslab(typescriptPath) as typeof TypeScript;
  keepWatchersFew(typescript);
  if (!hasOwnPackage(notebookFolder)) forwardTypes(typescript.sys, notebookFolder);
  prepareRequire(notebookFolder);

  const maps = withSourceMaps(typescript);
  require.cache[typescriptPath]!.exports = maps.typescript; // what tslab's files import from here on
  const { createConverter, isCompleteCode } = tslab(
    './dist/converter',
  ) as typeof import('tslab/dist/converter');
  const { createExecutor } = tslab('./dist/executor') as typeof import('tslab/dist/executor');
  const { printQuickInfo } = tslab('./dist/inspect') as typeof import('tslab/dist/inspect');
  const node = createConverter({ isJS: false, isBrowser: false });
  tidyInspection((error) => stackOf(error, sources));
  let running = '0'; // the cell being executed (cellFileName)
  let unnumbered = 0;
  let ended: { value?: unknown; error?: unknown; diagnostics: string[] } = { diagnostics: [] };

  const converter: Converter = {
    ...node,
    convert(previous, code) {
      const prepared = prepareCell(typescript, code);
      const converted = node.convert(previous, prepared.code);
      converted.hasToplevelAwait ||= prepared.hasTopLevelForAwait;
      ended.diagnostics = converted.diagnostics.map(({ fileName, start, messageText }) => {
        const place = `${fileName ?? `Cell [${running}]`}:${start.line + 1}:${start.character + 1}`;
        const line = fileName ? undefined : code.split('\n')[start.line];
        return `${place} - ${messageText}${line ? `\n${String(start.line + 1).padStart(9)} ${line}` : ''}`;
      });
      if (converted.output) {
        const checked = withLoopChecks(typescript, converted.output, converted.hasToplevelAwait ?? false);
        const { insertions } = checked;
        sources.add(running, { code, insertions, maps: maps.of(converted.output), linesAbove: 1 });
        converted.output = `${checked.code}\n//# sourceURL=${cellFileName(running)}`;
      }
      return converted;
    },
  };
  const executor: Executor = createExecutor(
    notebookFolder,
    { node: converter, browser: node, close: () => node.close() },
    // Its console is its way out.
    {
      log: (value: unknown) => Object.assign(ended, { value }), // the last value of a cell
      error: (error: unknown) => Object.assign(ended, { error }), // what the cell threw
    },
  );

  /** `pw` is there in every notebook; loading its types takes tslab a second, so only once a cell speaks of it. */
  let isPreloaded = false;
  async function preload(code: string): Promise<void> {
    if (isPreloaded || !/\bpw\b/.test(code)) return;
    isPreloaded = true;
    if (!/\bas pw from\b/.test(code)) await executor.execute(`import * as pw from '${PACKAGE}'`);
  }

  async function execute(code: string, cell: number): Promise<CellOutcome> {
    await preload(code);
    running = cell === 0 ? `0-${++unnumbered}` : String(cell);
    ended = { diagnostics: [] };
    const end = ended;
    try {
      Atomics.add(interrupts.signalled, 0, 1); // tslab runs the script itself
      if (await executor.execute(code)) return { status: 'ok', value: end.value };
    } finally {
      Atomics.sub(interrupts.signalled, 0, 1);
    }
    // The script took the signal, which is on its way no longer.
    const why = attempt(() => (end.error as { readonly code?: unknown } | undefined)?.code);
    if (why === 'ERR_SCRIPT_EXECUTION_INTERRUPTED') interrupts.gate.take();
    if (end.diagnostics.length > 0) return { status: 'error', error: diagnosed(end.diagnostics) };
    return { status: 'error', error: describe(end.error) };
  }

  function complete(code: string, position: number): Completion {
    const { candidates, start, end, original } = executor.complete(code, position);
    const kinds = new Map((original?.entries ?? []).map((entry) => [entry.name, String(entry.kind)]));
    return { matches: candidates, kinds: candidates.map((name) => kinds.get(name) ?? ''), start, end };
  }

  function inspect(code: string, position: number): Inspection | undefined {
    const info = askAround(code, position, (at) => executor.inspect(code, at));
    if (!info) return undefined;
    const signature = typescript.displayPartsToString(info.displayParts) || printQuickInfo(info);
    return { signature, documentation: documentationOf(info) };
  }

  function isComplete(code: string): Completeness {
    const { completed, indent } = isCompleteCode(code);
    if (!completed) return { status: 'incomplete', indent: indent ?? '' };
    const { diagnostics = [] } = typescript.transpileModule(code, { reportDiagnostics: true });
    return { status: diagnostics.length > 0 ? 'invalid' : 'complete' };
  }

  const { interrupt, close } = executor;
  return { execute, complete, inspect, isComplete, interrupt, close };
}

/**
 * Changes `files` so that `<notebookFolder>/node_modules/patchwise` is our package root. As `realpath` tells, the
 * folder is a link: what our declarations import is then looked for from where they really are.
 */
function forwardTypes(files: TypeScript.System, notebookFolder: string): void {
  const link = join(notebookFolder, 'node_modules', PACKAGE);
  const forward = (path: string): string => {
    if (!path.includes(PACKAGE)) return path;
    const inside = relative(link, path);
    return inside.startsWith('..') ? path : join(packageRoot(), inside).split(sep).join('/');
  };
  const { fileExists, readFile, directoryExists, realpath } = files;
  files.fileExists = (path) => fileExists.call(files, forward(path));
  files.readFile = (path, encoding) => readFile.call(files, forward(path), encoding);
  files.directoryExists = (path) => directoryExists.call(files, forward(path));
  files.realpath = (path) => realpath!.call(files, forward(path));
}

/**
 * tslab polls every file the compiler has read, the standard library's declarations among them. Only what a user
 * may edit while the kernel runs is worth the system calls.
 */
function keepWatchersFew(typescript: typeof TypeScript): void {
  const { sys } = typescript;
  const watchFile = sys.watchFile!.bind(sys);
  sys.watchFile = (path, ...rest) =>
    path.endsWith('.d.ts') || path.includes('/node_modules/')
      ? { close: () => {} }
      : watchFile(path, ...rest);
}
