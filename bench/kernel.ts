import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KernelClient } from '../kernels/headless/client';
import type { LongCall } from '../src/index';
import { memoryOf } from './process-memory';
import { findPython } from './python';
import { type BenchReport, type BenchRow, machine, row } from './report';

export interface KernelBenchOptions extends LongCall {
  /** Starts of each side's kernel; default 5. */
  readonly repeats?: number;
}

interface Side {
  readonly name: string;
  /** Command that starts the kernel, without the connection file at its end. Default: our kernel. */
  readonly command?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  readonly language: 'typescript' | 'python';
}

const metrics = {
  ready: ['start to ready', 'ms'],
  first: ['first cell', 'ms'],
  cell: ['warm cell', 'ms'],
  member: ['completion of a member, p50', 'ms'],
  global: ['completion of a name, p50', 'ms'],
  memory: ['memory at start', 'MB'],
  used: ['memory after cells and completions', 'MB'],
} as const;
type Metric = keyof typeof metrics;
type Samples = Record<Metric, number[]>;

const warmCells = 30;
const completions = 30;
/** Waits until the machine is idle and the kernel has loaded what it loads after its first answer. */
const settleMs = 3000;

const cells = {
  typescript: {
    first: 'const scale: number = 6; scale * 7',
    warm: (n: number) => `const value${n}: number = scale + ${n}; value${n}`,
    member: 'Math.fl',
    global: 'parseI',
  },
  python: {
    first: 'import math\nscale: float = 6\nscale * 7',
    warm: (n: number) => `value${n}: float = scale + ${n}\nvalue${n}`,
    member: 'math.fl',
    global: 'isinst',
  },
};

/**
 * Compares our kernel with tslab, deno and ipykernel: time from the start of the process to its first answer, cells from
 * request to idle, completions, and resident memory of the process and its children. The kernels take turns and start
 * again in every round. PATCHWISE_DENO or the path gives deno, PATCHWISE_PYTHON gives ipykernel.
 */
export async function benchKernel(options: KernelBenchOptions = {}): Promise<BenchReport> {
  const { repeats = 5, signal, onProgress } = options;
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-bench-kernel-'));
  try {
    const ours: Side = { name: 'ours', language: 'typescript' };
    const peers = await peerSides();
    const sides = [ours, ...peers.filter((side) => side.command !== undefined || side.environment)];
    const measured = new Map(sides.map((side) => [side.name, emptySamples()]));
    await measure(ours, folder); // fills the caches on disk for every later start
    for (let round = 0; round < repeats; round++) {
      for (const side of sides) {
        signal?.throwIfAborted();
        const samples = await measure(side, folder);
        for (const metric of Object.keys(metrics) as Metric[])
          measured.get(side.name)![metric].push(...samples[metric]);
      }
      onProgress?.({ done: round + 1, total: repeats, what: 'rounds' });
    }
    const own = measured.get('ours')!;
    const rows: BenchRow[] = (Object.keys(metrics) as Metric[]).flatMap((metric) =>
      peers.map((peer) => {
        const [what, unit] = metrics[metric];
        const name = { case: 'kernel', metric: what, unit, peerName: peer.name };
        return row(name, own[metric], measured.get(peer.name)?.[metric] ?? []);
      }),
    );
    return { bench: 'kernel', machine: machine(), rows };
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** The other kernels. A kernel that is not installed has no command and no environment. */
async function peerSides(): Promise<Side[]> {
  const tslab = createRequire(__filename).resolve('tslab/package.json').replace('package.json', 'bin/tslab');
  const deno = process.env.PATCHWISE_DENO ?? 'deno';
  const python = await findPython(['ipykernel']);
  return [
    { name: 'tslab', language: 'typescript', command: [process.execPath, tslab, 'kernel', '--config-path'] },
    {
      name: 'our kernel on the tslab engine',
      language: 'typescript',
      environment: { PATCHWISE_ENGINE: 'tslab' },
    },
    {
      name: 'deno',
      language: 'typescript',
      ...(starts(deno) && { command: [deno, 'jupyter', '--kernel', '--conn'] }),
    },
    {
      name: 'ipykernel',
      language: 'python',
      ...(python && { command: [python, '-m', 'ipykernel_launcher', '-f'] }),
    },
  ];
}

async function measure(side: Side, cwd: string): Promise<Samples> {
  const samples = emptySamples();
  const { first, warm, member, global } = cells[side.language];
  const started = performance.now();
  const { command, environment } = side;
  const client = await KernelClient.start({
    cwd,
    ...(command && { command }),
    ...(environment && { environment }),
  });
  try {
    samples.ready.push(performance.now() - started);
    // At once: the time includes waiting for what is not loaded yet.
    samples.first.push(await timed(() => client.execute(first)));
    await sleep(settleMs);
    for (let n = 0; n < warmCells; n++) {
      const time = await timed(() => client.execute(warm(n)));
      if (n >= warmCells / 3) samples.cell.push(time);
    }
    for (const [metric, code] of [
      ['member', member],
      ['global', global],
    ] as const) {
      for (let n = 0; n < completions; n++) {
        const content = { code, cursor_pos: code.length };
        const time = await timed(() => client.request('complete_request', content));
        if (n >= completions / 3) samples[metric].push(time);
      }
    }
    samples.used.push(await memoryOf(client.process.pid!));
  } finally {
    await client.close();
  }
  // A kernel before its first cell: the cost of each open notebook.
  const idle = await KernelClient.start({
    cwd,
    ...(command && { command }),
    ...(environment && { environment }),
  });
  await sleep(settleMs);
  samples.memory.push(await memoryOf(idle.process.pid!));
  await idle.close();
  return samples;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function emptySamples(): Samples {
  return Object.fromEntries(Object.keys(metrics).map((metric) => [metric, [] as number[]])) as Samples;
}

function starts(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
