/**
 * A long session: a kernel follows a run that goes on, with a live figure, pages that come and go, cells, completions
 * and displays, while its memory, open files and listeners are watched.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KernelClient } from '../../kernels/headless/client';
import { attach, type LongCall, type Run } from '../../src/index';
import { median } from '../../src/median';
import { memoryOf, openFilesOf } from '../process-memory';

export interface SoakOptions extends LongCall {
  readonly minutes?: number;
  /** Seconds between two rounds of cells; default 2. */
  readonly pause?: number;
  /** Part of the time that the run's rank may compute, 0 to 1; default 1. On a shared machine an hour of a core is much. */
  readonly share?: number;
}

export interface SoakSample {
  readonly seconds: number;
  /** Resident memory, MB. */
  readonly memory: number;
  /** Of the main thread after a collection, MB. */
  readonly heap: number;
  readonly openFiles: number | undefined;
  readonly listeners: number;
  readonly comms: number;
  readonly step: number;
}

export interface SoakReport {
  readonly minutes: number;
  readonly cells: number;
  readonly samples: readonly SoakSample[];
  /** Medians of the second and of the last quarter. */
  readonly heap: readonly [number, number];
  readonly memory: readonly [number, number];
  readonly openFiles: readonly [number, number];
  readonly listeners: readonly [number, number];
  /** Nothing grew by more than a tenth, files and listeners not at all. */
  readonly isFlat: boolean;
}

/** Files that are open only for a moment, a run's metrics for instance. */
const SLACK = 3;
const ANSWER_TIMEOUT_MS = 120_000;
const GROWTH = 1.1;

const COLLECT = `import v8 from 'node:v8';
import vm from 'node:vm';
v8.setFlagsFromString('--expose-gc');
const collect: () => void = vm.runInNewContext('gc');`;
const PROBE = `JSON.stringify({
  heap: (collect(), process.memoryUsage().heapUsed / 1e6),
  listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
  step: (await run.status()).step,
})`;

export async function soakKernel(options: SoakOptions = {}): Promise<SoakReport> {
  const { minutes = 60, pause = 2, share = 1, signal, onProgress } = options;
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-soak-'));
  const environment = { PATCHWISE_RUNS: join(folder, 'runs') };
  const client = await KernelClient.start({ cwd: folder, environment });
  let value = '';
  client.onOutput = ({ header, content }) => {
    if (header.msg_type !== 'execute_result') return;
    value = String((content.data as Record<string, unknown>)['text/plain']);
  };
  const evaluate = async (code: string): Promise<string> => {
    const { content } = await answered(client.execute(code), code);
    if (content.status !== 'ok')
      throw new Error(`the cell ${code} failed: ${content.ename}: ${content.evalue}`);
    return value.replace(/^'|'$/g, '');
  };
  let cells = 0;
  let dir = '';
  let brake: Brake | undefined;
  const samples: SoakSample[] = [];
  try {
    await evaluate(COLLECT);
    await evaluate(
      `const run = await pw.train({ preset: 'toy', data: 'phantom:32x32x32', ranks: 1, steps: 100_000_000, seed: 1 })`,
    );
    dir = await evaluate('run.dir');
    await evaluate('run.live()');
    if (share < 1) brake = new Brake(await attach(dir), share);
    const started = performance.now();
    const seconds = (): number => (performance.now() - started) / 1000;
    for (let round = 0; seconds() < minutes * 60; round++) {
      signal?.throwIfAborted();
      // A page is opened, listens for a while and is closed; every other one vanishes without a word.
      const comm_id = `soak-${round}`;
      client.send('comm_open', { comm_id, target_name: 'patchwise.live', data: { dir } }, 'shell');
      await evaluate(`for (let i = 0; i < 100; i++) console.log('round', ${round}, i)`);
      await evaluate(
        `let value${round % 10} = ${round}; pw.display(value${round % 10}, { id: 'soak' }); value${round % 10}`,
      );
      await answered(client.request('complete_request', { code: 'pw.re', cursor_pos: 5 }), 'a completion');
      cells += 3;
      const probe = JSON.parse(await evaluate(PROBE)) as Pick<SoakSample, 'heap' | 'listeners' | 'step'>;
      const { content } = await client.request('comm_info_request', {});
      const pid = client.process.pid!;
      const [memory, openFiles] = await Promise.all([memoryOf(pid, { alone: true }), openFilesOf(pid)]);
      const comms = Object.keys(content.comms as object).length;
      samples.push({ seconds: seconds(), memory, openFiles, comms, ...probe });
      onProgress?.({
        done: Math.min(minutes * 60, Math.round(seconds())),
        total: minutes * 60,
        what: 'seconds',
      });
      await sleep(Math.min(pause * 1000, minutes * 1000));
      if (round % 2 === 0) client.send('comm_close', { comm_id, data: {} }, 'shell');
    }
    return report(minutes, cells, samples);
  } finally {
    brake?.release();
    if (dir !== '') await attach(dir).then((run) => run.stop());
    await client.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Fails where the kernel does not answer: a soak that waits for ever tells nothing. */
async function answered<T>(work: Promise<T>, what: string): Promise<T> {
  const patience = new AbortController();
  const silence = sleep(ANSWER_TIMEOUT_MS, undefined, { signal: patience.signal }).then(
    () => Promise.reject(new Error(`the kernel did not answer ${what} within ${ANSWER_TIMEOUT_MS / 1000} s`)),
    () => work,
  );
  return Promise.race([work, silence]).finally(() => patience.abort());
}

/** Lets the ranks of a run compute for a part of every two seconds, so that it goes on without taking a core. */
class Brake {
  private ranks: number[] = [];
  private readonly timer: NodeJS.Timeout;
  private freeing: NodeJS.Timeout | undefined;

  constructor(run: Run, share: number) {
    this.timer = setInterval(async () => {
      this.signal('SIGCONT');
      this.ranks = (await run.status()).pids.ranks.map(({ pid }) => pid);
      this.freeing = setTimeout(() => this.signal('SIGSTOP'), share * 2000);
    }, 2000);
  }

  release(): void {
    clearInterval(this.timer);
    clearTimeout(this.freeing);
    this.signal('SIGCONT');
  }

  private signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    for (const pid of this.ranks) {
      try {
        process.kill(pid, name);
      } catch {
        // It has ended.
      }
    }
  }
}

function report(minutes: number, cells: number, samples: readonly SoakSample[]): SoakReport {
  const quarter = (n: number): readonly SoakSample[] =>
    samples.slice(
      Math.floor((samples.length * n) / 4),
      Math.max(1, Math.floor((samples.length * (n + 1)) / 4)),
    );
  const both = (of: (sample: SoakSample) => number): readonly [number, number] =>
    [1, 3].map((n) => median(quarter(n).map(of))) as [number, number];
  const heap = both((sample) => sample.heap);
  const memory = both((sample) => sample.memory);
  const openFiles = both((sample) => sample.openFiles ?? 0);
  const listeners = both((sample) => sample.listeners);
  const isFlat =
    heap[1] <= heap[0] * GROWTH &&
    memory[1] <= memory[0] * GROWTH &&
    openFiles[1] <= openFiles[0] + SLACK &&
    listeners[1] <= listeners[0] + SLACK;
  return { minutes, cells, samples, heap, memory, openFiles, listeners, isFlat };
}
