import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KernelClient } from '../kernels/headless/client';
import type { Message } from '../kernels/protocol/wire';
import type { LongCall, Vec3 } from '../src/index';
import { VOLUMES_MIME } from '../src/internal';
import { type BenchReport, type BenchRow, machine, row } from './report';

export interface ViewerBenchOptions extends LongCall {
  /** Voxels along x, y and z; default the guide's 512 x 512 x 604. */
  readonly shape?: Vec3;
  /** Pages that ask for the volume, one after the other; default 3. */
  readonly repeats?: number;
}

/** A chest between air: as noisy as a CT, because noise decides what compression saves. In memory as `readVolume` leaves it. */
const cells = {
  volume: ([x, y, z]: Vec3) => `import * as pw from 'patchwise';
const data = new Float32Array(${x * y * z});
for (let n = 0, seed = 1; n < data.length; n++) {
  seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
  const [i, j] = [(n % ${x}) / ${x} - 0.5, (Math.floor(n / ${x}) % ${y}) / ${y} - 0.5];
  data[n] = i * i + j * j > 0.2 ? -1000 : 40 + (seed >> 26);
}
const ct = new pw.Volume({ shape: [${x}, ${y}, ${z}], spacing: [0.7, 0.7, 0.6], data });`,
  watch: `const { monitorEventLoopDelay } = await import('node:perf_hooks');
const delays = monitorEventLoopDelay({ resolution: 1 });
delays.enable();`,
  delays:
    'delays.disable(); [delays.percentile(50), delays.percentile(99), delays.max].map((n) => n / 1e6).join()',
};

/** What one page saw, in seconds from when it asked. */
interface Seen {
  readonly first: number;
  readonly complete: number;
  readonly megabytes: number;
  /** Time of a cell that ran meanwhile, in milliseconds. */
  readonly cells: readonly number[];
  /** The delays of the kernel's event loop: median, 99th percentile, greatest. */
  readonly delays: readonly number[];
}

/**
 * Shows a whole CT in our kernel, and asks for it as a page does that takes every chunk at once: when the first level is
 * there, when full resolution is, and what cells and the kernel's event loop feel of it. Cells are compared with those of
 * the idle kernel.
 */
export async function benchViewer(options: ViewerBenchOptions = {}): Promise<BenchReport> {
  const { shape = [512, 512, 604], repeats = 3, signal, onProgress } = options;
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-bench-viewer-'));
  const kernel = await KernelClient.start({ cwd: folder });
  try {
    await run(kernel, cells.volume(shape));
    const shown = await timed(() => run(kernel, 'ct'));
    const id = (shown.value[VOLUMES_MIME] as { id: string }).id;
    const idle: number[] = [];
    for (let n = 0; n < 20; n++) idle.push((await timed(() => run(kernel, '1 + 1'))).ms);
    const seen: Seen[] = [];
    for (let n = 0; n < repeats; n++) {
      signal?.throwIfAborted();
      seen.push(await openPage(kernel, id, `page-${n}`));
      onProgress?.({ done: n + 1, total: repeats, what: 'pages' });
    }
    const what = shape.join(' x ');
    const measured = (metric: string, unit: string, values: readonly number[]): BenchRow =>
      row({ case: what, metric, unit, peerName: '' }, values, []);
    const during = row(
      { case: what, metric: 'a cell meanwhile', unit: 'ms', peerName: 'idle kernel' },
      seen.flatMap(({ cells }) => cells),
      idle,
    );
    const rows = [
      measured('the cell that shows it', 's', [shown.ms / 1000]),
      measured(
        'first level',
        's',
        seen.map(({ first }) => first),
      ),
      measured(
        'full resolution',
        's',
        seen.map(({ complete }) => complete),
      ),
      measured(
        'sent',
        'MB',
        seen.map(({ megabytes }) => megabytes),
      ),
      during,
      ...['p50', 'p99', 'greatest'].map((name, i) =>
        measured(
          `delay of the event loop, ${name}`,
          'ms',
          seen.map(({ delays }) => delays[i]!),
        ),
      ),
    ];
    return { bench: 'viewer', machine: machine(), rows };
  } finally {
    await kernel.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Opens the view's comm, answers each chunk at once, and runs cells until full resolution is there. */
async function openPage(kernel: KernelClient, id: string, comm_id: string): Promise<Seen> {
  await run(kernel, cells.watch);
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  let [first, complete, bytes, left] = [0, 0, 0, 0];
  const done = new Promise<void>((resolve, reject) => {
    kernel.onOutput = ({ header, content, buffers }) => {
      const { type, chunks, message } = (content.data ?? {}) as Record<string, unknown>;
      if (header.msg_type !== 'comm_msg' || content.comm_id !== comm_id) return;
      if (type === 'level') left = Number(chunks);
      else if (type === 'chunk') {
        bytes += buffers[0]!.length;
        kernel.send('comm_msg', { comm_id, data: { type: 'got' } }, 'shell');
        left--;
        if (left === 0 && first === 0) first = seconds();
      } else if (type === 'complete') {
        complete = seconds();
        resolve();
      } else reject(new Error(String(message)));
    };
  });
  kernel.send('comm_open', { comm_id, target_name: 'patchwise.volumes', data: { id, most: 1e9 } }, 'shell');
  const durations: number[] = [];
  let isOver = false;
  const work = (async () => {
    while (!isOver) durations.push((await timed(() => kernel.execute('1 + 1'))).ms);
  })();
  await done;
  isOver = true;
  await work;
  kernel.send('comm_close', { comm_id, data: {} }, 'shell');
  const delays = String((await run(kernel, cells.delays))['text/plain']).replace(/'/g, '');
  return { first, complete, megabytes: bytes / 1e6, cells: durations, delays: delays.split(',').map(Number) };
}

/** Runs a cell and resolves with its result. @throws Error if it fails */
async function run(kernel: KernelClient, code: string): Promise<Record<string, unknown>> {
  let data: Record<string, unknown> = {};
  kernel.onOutput = ({ header, content }: Message) => {
    if (header.msg_type === 'execute_result') data = content.data as Record<string, unknown>;
  };
  const { content } = await kernel.execute(code);
  if (content.status !== 'ok') throw new Error(`${content.ename}: ${content.evalue}`);
  return data;
}

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const started = performance.now();
  const value = await work();
  return { value, ms: performance.now() - started };
}
