import { type Command, Option } from 'commander';
import type { BenchReport } from '../../bench/report';
import type { Device } from '../../bench/step-sides';
import { type Checkpointing, InvalidArgument, type LongCall, type Precision, type Vec3 } from '../index';
import { checkpointings, checkShape } from '../internal';
import { fileToRead } from './paths';
import { answer, columns, interruptible, parseCount, parseSize, parseWhole } from './terminal';

interface BenchOptions {
  readonly repeats?: number;
  readonly preset?: string;
  readonly hidden?: number;
  readonly shape?: Vec3;
  readonly steps?: number;
  readonly seed?: number;
  readonly data?: string;
  readonly threads?: number;
  readonly backends?: readonly string[];
  readonly backend?: string;
  readonly variants?: readonly string[];
  readonly batch?: number;
  readonly device?: Device;
  readonly precision?: Precision;
  readonly checkpointing?: Checkpointing;
  readonly compile?: boolean;
}

type Bench = (options: LongCall & BenchOptions) => Promise<BenchReport>;

/** Loaded on demand: other commands do not need what a bench imports. */
const benches: Record<string, () => Promise<Bench>> = {
  volumes: async () => (await import('../../bench/volumes.js')).benchVolumes,
  metrics: async () => (await import('../../bench/metrics.js')).benchMetrics,
  blend: async () => (await import('../../bench/blend.js')).benchBlend,
  step: async () => (await import('../../bench/step.js')).benchStep,
  gan: async () => (await import('../../bench/gan.js')).benchGan,
  ranks: async () => (await import('../../bench/ranks.js')).benchRanks,
  kernel: async () => (await import('../../bench/kernel.js')).benchKernel,
  store: async () => (await import('../../bench/store.js')).benchStore,
  quantisers: async () => (await import('../../bench/quantisers.js')).benchQuantisers,
};

export function addBench(program: Command): void {
  const names = Object.keys(benches).join(', ');
  program
    .command('bench')
    .description('measure us beside our peers, interleaved, each run in a process of its own')
    .argument('<name>', names)
    .option('--repeats <n>', 'runs of each side', parseCount)
    .option('--preset <name>', "step: the preset whose model is trained; default 'upstream'")
    .option('--hidden <n>', "step: hidden channels; default the preset's", parseCount)
    .option(
      '--shape <n | x,y,z>',
      'volumes, blend, step: voxels of the volume or the patch',
      (text: string) => checkShape('shape', parseSize(text)),
    )
    .option(
      '--steps <n>',
      'step: steps a turn, default 5; gan: steps with discriminators, default 500; quantisers: steps, default 500',
      parseCount,
    )
    .option('--seed <n>', 'step: of the weights, the codes and the patch; default 0', parseWhole)
    .option(
      '--data <file>',
      'gan, quantisers: NIfTI file to train on; default the chest CT beside the project',
      fileToRead('a NIfTI file'),
    )
    .option('--batch <n>', 'step: patches of a step; default 1', parseCount)
    .option('--threads <n>', 'step: threads of each side; default 2', parseCount)
    .addOption(
      new Option('--precision <name>', 'step: what our activations are stored in').choices([
        'float32',
        'bf16',
      ]),
    )
    .addOption(
      new Option('--checkpointing <what>', 'step: what all sides compute again in the backward pass').choices(
        checkpointings,
      ),
    )
    .addOption(
      new Option('--device <name>', "step: where all sides compute; default 'cpu'").choices(['cpu', 'cuda']),
    )
    .option('--compile', 'step: torch.compile is a peer too')
    .option('--backends <names>', 'step: our backends, comma-separated', (text: string) => text.split(','))
    .option('--backend <name>', "gan, quantisers: the runs' backend; default auto")
    .option('--variants <names>', 'quantisers: which, comma-separated; default all', (text: string) =>
      text.split(','),
    )
    .option('--json', 'print one JSON value')
    .action(async (name: string, { json, ...options }: BenchOptions & { json?: boolean }) => {
      const load = benches[name];
      if (!load) throw new InvalidArgument('bench', 'the name of a bench', name, Object.keys(benches));
      const report = await (await load())({ ...interruptible(name), ...options });
      answer(json, report, () => [
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
