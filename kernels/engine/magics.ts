/** The functions behind the `%` lines of cells, which magic-lines.ts writes out as calls. */

import { duration } from '../../src/duration';
import { attempt } from '../../src/errors';
import type { Run } from '../../src/index';
import {
  type CellEngine,
  type CellError,
  type CellOutcome,
  TYPE_MODES,
  type TypeMode,
} from '../cells/engine';
import { library, loadedInternals } from './library';
import { expandMagics, MAGICS, NOTES } from './magic-lines';

/** Under this registered symbol cells find the functions. */
const SYMBOL = Symbol.for('patchwise.magics');

/** An engine whose cells may have `%` lines. */
export function withMagics(engine: CellEngine, show: (value: unknown) => void): CellEngine {
  (globalThis as Record<symbol, unknown>)[SYMBOL] = new Magics(engine, show);

  async function execute(code: string, cell: number): Promise<CellOutcome> {
    let expanded: ReturnType<typeof expandMagics>;
    try {
      expanded = expandMagics(code);
    } catch (error) {
      return { status: 'error', error: engine.describe(error) };
    }
    const stopwatch = new Stopwatch();
    const outcome = await engine.execute(expanded.code, cell);
    if (expanded.isTimed) console.log(stopwatch.read());
    return outcome.status === 'ok'
      ? outcome
      : { ...outcome, error: asWritten(outcome.error, expanded.written) };
  }

  /** A front end completes `%r` to `%run`. */
  function complete(code: string, position: number): ReturnType<CellEngine['complete']> {
    const line = code.slice(code.lastIndexOf('\n', position - 1) + 1, position);
    if (!/^%\w*$/.test(line)) return engine.complete(code, position);
    const matches = Object.keys(MAGICS)
      .map((name) => `%${name}`)
      .filter((name) => name.startsWith(line));
    return { matches, kinds: matches.map(() => 'magic'), start: position - line.length, end: position };
  }

  /** A line that cannot be written out is complete: running it says what is wrong. */
  const isComplete: CellEngine['isComplete'] = (code) =>
    attempt(() => engine.isComplete(expandMagics(code).code)) ?? { status: 'complete' };

  return { ...engine, execute, complete, isComplete };
}

/** The error with the user's lines in place of their written-out form. */
function asWritten(error: CellError, written: ReadonlyMap<string, string>): CellError {
  const traceback = error.traceback.map((text) =>
    [...written].reduce((shown, [code, line]) => shown.replaceAll(code, line), text),
  );
  return { ...error, traceback };
}

class Magics {
  #began: Stopwatch | undefined;

  constructor(
    private readonly engine: CellEngine,
    private readonly show: (value: unknown) => void,
  ) {}

  /** `preset=toy data=… ranks=4`; the first word may be a preset or a YAML file instead. */
  async run(text: string): Promise<Run> {
    const { presets, train } = library();
    const readConfig = loadedInternals()!.readConfig!;
    const words = text.split(/\s+/).filter((word) => word !== '');
    const file = words.find((word) => /\.ya?ml$/.test(word));
    const overrides = words.filter((word) => word !== file);
    if (overrides[0] !== undefined && overrides[0] in presets) overrides[0] = `preset=${overrides[0]}`;
    const data = overrides.filter((word) => word.startsWith('data=')).map((word) => word.slice(5));
    const run = await train(
      await readConfig(file, {
        overrides: overrides.filter((word) => !word.startsWith('data=')),
        ...(data.length > 0 && { data }),
      }),
    );
    this.show(run.live());
    return run;
  }

  async attach(id: string): Promise<Run> {
    const { attach, listRuns } = library();
    const run = id === '' ? (await listRuns())[0] : await attach(id);
    if (!run) throw new Error(noRuns());
    this.show(run.live());
    return run;
  }

  async stop(id: string): Promise<void> {
    const { attach, listRuns } = library();
    const running = id === '' ? await runningOf(await listRuns()) : [await attach(id)];
    if (running.length !== 1) {
      const ids = running.map((run) => run.id).join(', ');
      throw new Error(running.length === 0 ? 'no run is running' : `which one? ${ids}`);
    }
    const [run] = running as [Run];
    const { state, step } = await run.stop();
    console.log(`${run.id} ${state} at step ${step}`);
  }

  async runs(): Promise<void> {
    const { listRuns, Table } = library();
    const rows = [];
    for (const run of await listRuns()) {
      const { state, step, steps, backend, updated } = await run.status();
      rows.push([run.id, state, `${step}/${steps}`, backend ?? '', updated]);
    }
    if (rows.length === 0) console.log(noRuns());
    else this.show(new Table({ columns: ['run', 'state', 'step', 'backend', 'updated'], rows }));
  }

  async time<T>(work: () => Promise<T>): Promise<T> {
    const stopwatch = new Stopwatch();
    const value = await work();
    console.log(stopwatch.read());
    return value;
  }

  begin(): void {
    this.#began = new Stopwatch();
  }

  end(): void {
    console.log(this.#began?.read());
  }

  env(text: string): void {
    const assigned = /^(\w+)\s*=\s*(.*)$/s.exec(text);
    if (assigned) process.env[assigned[1]!] = assigned[2]!;
    else if (text !== '') console.log(process.env[text] ?? `${text} is not set`);
    else for (const [name, value] of Object.entries(process.env).sort()) console.log(`${name}=${value}`);
  }

  types(text: string): void {
    const mode = TYPE_MODES.find((known) => known === text);
    if (!mode) throw new Error(`%types: expected ${TYPE_MODES.join(', ')}, received ${text || 'nothing'}`);
    this.engine.setTypes(mode satisfies TypeMode);
  }

  help(): void {
    console.log([...Object.values(MAGICS), NOTES].join('\n'));
  }
}

/** Wall time and processor time of this process: if they differ, the cell has waited or ran in parallel. */
class Stopwatch {
  readonly #started = performance.now();
  readonly #cpu = process.cpuUsage();

  read(): string {
    const { user, system } = process.cpuUsage(this.#cpu);
    return `wall ${lasted(performance.now() - this.#started)}, processor ${lasted((user + system) / 1000)}`;
  }
}

function lasted(milliseconds: number): string {
  if (milliseconds < 1000) return `${Number(milliseconds.toPrecision(3))} ms`;
  return milliseconds < 60_000 ? `${(milliseconds / 1000).toFixed(2)} s` : duration(milliseconds / 1000);
}

async function runningOf(runs: readonly Run[]): Promise<Run[]> {
  const states = await Promise.all(runs.map(async (run) => (await run.status()).state));
  return runs.filter((_, at) => states[at] === 'running' || states[at] === 'starting');
}

function noRuns(): string {
  return `no runs in ${library().runsRoot()} yet; PATCHWISE_RUNS names another folder`;
}
