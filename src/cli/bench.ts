import type { Command } from 'commander';
import type { BenchReport } from '../../bench/report';
import { InvalidArgument, type LongCall } from '../index';
import { answer, columns, interruptible, parseCount } from './terminal';

type Bench = (options: LongCall & { readonly repeats?: number }) => Promise<BenchReport>;

/** Loaded when asked for: what a bench imports is not what the other commands need. */
const benches: Record<string, () => Promise<Bench>> = {
  volumes: async () => (await import('../../bench/volumes.js')).benchVolumes,
  blend: async () => (await import('../../bench/blend.js')).benchBlend,
  metrics: async () => (await import('../../bench/metrics.js')).benchMetrics,
  store: async () => (await import('../../bench/store.js')).benchStore,
};

export function addBench(program: Command): void {
  const names = Object.keys(benches).join(', ');
  program
    .command('bench')
    .description('measure us beside our peers, interleaved, each run in a process of its own')
    .argument('<name>', names)
    .option('--repeats <n>', 'runs of each side', parseCount)
    .option('--json', 'print one JSON value')
    .action(async (name: string, options: { repeats?: number; json?: boolean }) => {
      const load = benches[name];
      if (!load) throw new InvalidArgument('bench', 'the name of a bench', name, Object.keys(benches));
      const report = await (await load())({ ...interruptible(name), repeats: options.repeats });
      answer(options.json, report, () => [
        `${report.bench} on ${report.machine}`,
        ...columns([
          ['case', 'metric', 'unit', 'ours', 'peer', 'ratio', 'peer is'],
          ...report.rows.map((row) => [
            row.case,
            row.metric,
            row.unit,
            figure(row.ours),
            figure(row.peer),
            figure(row.ratio),
            row.peerName,
          ]),
        ]),
      ]);
    });
}

function figure(value: number | null): string {
  return value === null ? 'not here' : value.toPrecision(3);
}
