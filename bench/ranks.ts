import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LongCall, type MetricRecord, train, type Vec3 } from '../src/index';
import { backendNames } from '../src/internal';
import { median } from '../src/median';
import { quiet } from './quiet';
import { type BenchReport, type BenchRow, machine, row } from './report';

export interface RanksBenchOptions extends LongCall {
  /** Turns of each side; default 3. */
  readonly repeats?: number;
  /** Voxels of a patch; default 64 x 64 x 32. */
  readonly shape?: Vec3;
  /** Measured steps of a turn; default 40. */
  readonly steps?: number;
  /** Threads of a rank; default 1. */
  readonly threads?: number;
  readonly backends?: readonly string[];
  /** Seconds to wait for a quiet machine; default 20. */
  readonly patience?: number;
}

/** Steps before the clock starts. During these V8 compiles in its own threads, and a single rank leaves it a free core. */
const warmUp = 20;

/**
 * Compares two ranks with one, with the same work and threads per rank: patches per second, and the parts of a step. Two
 * separate runs of one rank show the limit of the machine, whose cores share caches and memory.
 */
export async function benchRanks(options: RanksBenchOptions = {}): Promise<BenchReport> {
  const { repeats = 3, shape = [64, 64, 32], steps = 40, threads = 1, patience = 20, signal } = options;
  const backends = options.backends ?? backendNames.filter((name) => name !== 'cpu');
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-bench-'));
  const before = process.env.PATCHWISE_RUNS;
  process.env.PATCHWISE_RUNS = folder;
  const rows: BenchRow[] = [];
  try {
    for (const [b, backend] of backends.entries()) {
      const turns = { one: [] as Turn[], two: [] as Turn[], apart: [] as number[] };
      for (let turn = 0; turn < repeats; turn++) {
        options.onProgress?.({ done: b * repeats + turn, total: backends.length * repeats, what: backend });
        await quiet(patience, signal);
        turns.one.push(await measureTurn({ ranks: 1, backend, shape, steps, threads }, signal));
        turns.two.push(await measureTurn({ ranks: 2, backend, shape, steps, threads }, signal));
        const alone = { ranks: 1, backend, shape, steps, threads };
        const apart = await Promise.all([measureTurn(alone, signal), measureTurn(alone, signal)]);
        turns.apart.push(apart[0].patchesPerSecond + apart[1].patchesPerSecond);
      }
      const name = {
        case: `toy, ${shape.join(' x ')}, ${backend}, ${threads} thread(s) a rank`,
        peerName: '1 rank',
      };
      const add = (metric: string, unit: string, of: (turn: Turn) => number) =>
        rows.push(row({ ...name, metric, unit }, turns.two.map(of), turns.one.map(of)));
      add('patches a second, 2 ranks', '1/s', (turn) => turn.patchesPerSecond);
      const single = turns.one.map((turn) => turn.patchesPerSecond);
      rows.push(
        row(
          { ...name, metric: 'patches a second, 2 runs of 1 rank at once', unit: '1/s' },
          turns.apart,
          single,
        ),
      );
      const ceiling = {
        ...name,
        peerName: '2 runs of 1 rank at once',
        metric: 'patches a second, 2 ranks',
        unit: '1/s',
      };
      rows.push(
        row(
          ceiling,
          turns.two.map((turn) => turn.patchesPerSecond),
          turns.apart,
        ),
      );
      add('step', 'ms', (turn) => 1000 * turn.step);
      add('communication', '% of the step', (turn) => 100 * turn.communication);
      add('outside data, compute and communication', '% of the step', (turn) => 100 * turn.outside);
    }
    return { bench: 'ranks', machine: machine(), rows };
  } finally {
    if (before === undefined) delete process.env.PATCHWISE_RUNS;
    else process.env.PATCHWISE_RUNS = before;
    await rm(folder, { recursive: true, force: true });
  }
}

interface Turn {
  readonly patchesPerSecond: number;
  /** Seconds of a step. */
  readonly step: number;
  /** Fractions of the step. */
  readonly communication: number;
  readonly outside: number;
}

async function measureTurn(
  {
    ranks,
    backend,
    shape,
    steps,
    threads,
  }: {
    readonly ranks: number;
    readonly backend: string;
    readonly shape: Vec3;
    readonly steps: number;
    readonly threads: number;
  },
  signal: AbortSignal | undefined,
): Promise<Turn> {
  signal?.throwIfAborted();
  const run = await train({
    ...{ preset: 'toy', data: `phantom:${shape.map((size) => 2 * size).join('x')}`, validation: 0 },
    ...{ patch: shape, stride: shape, ranks, backend, threads, steps: steps + warmUp },
    ...{ collective: 'local', schedule: 'constant', checkpointEvery: 0, compareEvery: 0, seed: 3 },
  });
  try {
    await run.done;
    const counted = (await run.records()).filter(({ split, step }) => split === 'train' && step > warmUp);
    const middle = (of: (record: MetricRecord) => number) => median(counted.map(of));
    return {
      patchesPerSecond: middle((record) => record.patchesPerSecond!),
      step: middle(({ seconds }) => seconds!.step),
      communication: middle(({ seconds }) => seconds!.communication / seconds!.step),
      outside: middle(({ seconds }) => {
        const { step, data, forward, backward, communication, optimiser } = seconds!;
        return 1 - (data + forward + backward + communication + optimiser) / step;
      }),
    };
  } finally {
    await run.stop();
  }
}
