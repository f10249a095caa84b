import { execFile } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type BenchRow, row } from './report';

/** The measurements of one run, without its imports and its input. */
export interface Measured {
  readonly seconds: number;
  /** Processor time of all threads. */
  readonly cpu: number;
  /** Peak memory above the memory with the input loaded. */
  readonly mebibytes: number;
}

/** Runs a side in its own process and reads the JSON value that it prints. */
export async function measure(
  program: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<Measured> {
  const { stdout } = await promisify(execFile)(program, args, { signal });
  return JSON.parse(stdout) as Measured;
}

/**
 * Measures a call in this process; its input must be in memory already. `warm` measures the second call, after code is
 * compiled and threads have started; its memory covers both calls.
 */
export async function measureCall(
  call: () => Promise<unknown> | unknown,
  { warm = false } = {},
): Promise<Measured> {
  const { maxRSS } = process.resourceUsage();
  if (warm) {
    await call();
    await setTimeout(200);
  }
  const before = process.resourceUsage();
  const start = performance.now();
  await call();
  const seconds = (performance.now() - start) / 1000;
  const after = process.resourceUsage();
  const cpu = (after.userCPUTime + after.systemCPUTime - before.userCPUTime - before.systemCPUTime) / 1e6;
  return { seconds, cpu, mebibytes: (after.maxRSS - maxRSS) / 1024 };
}

/** The same for a Python side: call `measured(f)` with a function, and `warm=True` to measure the second call. */
export const pythonMeasured = `
import json, resource, time
def measured(call, warm=False):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if warm:
        call()
        time.sleep(0.2)
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({'seconds': seconds, 'cpu': cpu, 'mebibytes': (after.ru_maxrss - peak) / 1024}))
`;

/** The rows of one case: wall time, processor time, memory. */
export function measuredRows(
  name: string,
  peerName: string,
  ours: readonly Measured[],
  peer: readonly Measured[],
): BenchRow[] {
  const compare = (metric: string, unit: string, of: (run: Measured) => number): BenchRow =>
    row({ case: name, metric, unit, peerName }, ours.map(of), peer.map(of));
  return [
    compare('time', 's', (run) => run.seconds),
    compare('processor time', 's', (run) => run.cpu),
    compare('peak memory above the input', 'MiB', (run) => run.mebibytes),
  ];
}
