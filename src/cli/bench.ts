import type { Command } from 'commander';
import type { BenchReport } from '../../bench/report';
import { checkpointings, checkShape, precisions } from '../internal';
import { addCommand } from './command';
import { fileToRead } from './paths';
import { columns, interruptible, parseSize, parseWhole } from './terminal';

type Bench = (options: object) => Promise<BenchReport>;

/** Loaded on demand: other commands do not need what a bench imports. */
const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  volumes: async () => (await import('../../bench/volumes.js')).benchVolumes,
  metrics: async () => (await import('../../bench/metrics.js')).benchMetrics,
  blend: async () => (await import('../../bench/blend.js')).benchBlend,
  step: async () => (await import('../../bench/step.js')).benchStep,
  gan: async () => (await import('../../bench/gan.js')).benchGan,
  ranks: async () => (await import('../../bench/ranks.js')).benchRanks,
  kernel: async () => (await import('../../bench/kernel.js')).benchKernel,
  store: async () => (await import('../../bench/store.js')).benchStore,
  viewer: async () => (await import('../../bench/viewer.js')).benchViewer,
  quantisers: async () => (await import('../../bench/quantisers.js')).benchQuantisers,
};

export function addBench(program: Command): void {
  const names = (text: string) => text.split(',');
  addCommand(program, 'bench', {
    does: 'measure us beside our peers, interleaved, each run in a process of its own',
    takes: `
      <name>                which bench
      --repeats <n>         runs of each side
      --preset <name>       step: the preset whose model is trained; default 'upstream'
      --hidden <n>          step: hidden channels; default the preset's
      --shape <n | x,y,z>   volumes, blend, step, viewer: voxels of the volume or the patch
      --steps <n>           step: steps a turn, default 5; gan: steps with discriminators, default 500; quantisers:
                            steps, default 500
      --seed <n>            step: of the weights, the codes and the patch; default 0
      --data <file>         gan, quantisers: volume file to train on; default the chest CT beside the project
      --batch <n>           step: patches of a step; default 1
      --threads <n>         step: threads of each side; default 2
      --precision <name>    step: what our activations are stored in
      --checkpointing <what>  step: what all sides compute again in the backward pass
      --device <name>       step: where all sides compute; default 'cpu'
      --compile             step: torch.compile is a peer too
      --backends <names>    step: our backends, comma-separated
      --backend <name>      gan, quantisers: the runs' backend; default auto
      --variants <names>    quantisers: which, comma-separated; default all`,
    reads: {
      name: Object.keys(benches),
      shape: (text) => checkShape('shape', parseSize(text)),
      seed: parseWhole,
      data: fileToRead('a volume file'),
      backends: names,
      variants: names,
      precision: precisions,
      checkpointing: checkpointings,
      device: ['cpu', 'cuda'],
    },
    answers: async (name: string, options: object) => {
      const bench = await benches[name]!();
      const report = await bench({ ...interruptible(name), ...options });
      const figure = (value: number | null) => value?.toPrecision(3) ?? 'not here';
      const rows = report.rows.map(({ case: what, metric, unit, ours, peer, ratio, peerName }) => {
        return [what, metric, unit, figure(ours), figure(peer), figure(ratio), peerName];
      });
      const table = columns([['case', 'metric', 'unit', 'ours', 'peer', 'ratio', 'peer is'], ...rows]);
      return [report, [`${report.bench} on ${report.machine}`, ...table]];
    },
  });
}
