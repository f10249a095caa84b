import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import {
  type LongCall,
  openDataset,
  phantom,
  prepareDataset,
  presetNamed,
  readVolume,
  type StoredVolume,
  useBackend,
  type Vec3,
  writeVolume,
} from '../src/index';
import { alone, Objective, VqGan } from '../src/internal';
import { type BenchReport, type BenchRow, machine, row } from './report';

export interface StoreBenchOptions extends LongCall {
  /** Voxels along x, y and z; default the guide's 512 x 512 x 604. */
  readonly shape?: Vec3;
  /** Voxels of a patch; default the guide's 256 x 256 x 128. */
  readonly patch?: Vec3;
  /** Rounds; each reads the .nii.gz once; default 3. */
  readonly repeats?: number;
}

interface Timed {
  readonly seconds: number;
  /** Processor time of all threads. */
  readonly cpu: number;
}

/** Random patches of a round, against one reading of the file. */
const patchesPerRound = 8;

/**
 * Compares a prepared dataset with its .nii.gz: the time of a random patch against reading the whole file, which a loader
 * of .nii.gz must do; the size; and the time to load a patch against a training step of the `toy` preset. The sides take
 * turns.
 */
export async function benchStore(options: StoreBenchOptions = {}): Promise<BenchReport> {
  const { shape = [512, 512, 604], patch = [256, 256, 128], repeats = 3, signal, onProgress } = options;
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-bench-'));
  const [file, store] = [join(folder, 'p1.nii.gz'), join(folder, 'store')];
  try {
    await writeVolume(file, phantom({ shape }), { dtype: 'int16', signal });
    const preparation = await timed(() => prepareDataset(file, store, { workers: 1, signal }));
    const dataset = openDataset(store);
    const volume = dataset.volumes[0]!;
    const toy = presetNamed('toy');
    const step = await trainingStep();
    const places = randomPlaces(shape, patch);
    // Threads start and memory is touched before the clock starts, as in a long run.
    for (let n = 0; n < 4; n++)
      await Promise.all([places(), places()].map((at) => volume.readPatch(at, patch)));
    const runs = { patch: [] as Timed[], file: [] as Timed[], loader: [] as number[] };
    const toyRuns = { loader: [] as number[], step: [] as number[] };
    for (let n = 0; n < repeats; n++) {
      runs.file.push(await timed(() => readVolume(file, { signal })));
      for (let i = 0; i < patchesPerRound; i++)
        runs.patch.push(await timed(() => volume.readPatch(places(), patch)));
      runs.loader.push(await secondsAPatch(volume, patch, 2 * patchesPerRound));
      toyRuns.loader.push(await secondsAPatch(volume, toy.patch, 8 * patchesPerRound));
      toyRuns.step.push((await timed(step)).seconds);
      onProgress?.({ done: n + 1, total: repeats, what: 'rounds' });
    }
    await dataset.close();
    const size = async (path: string) => [(await stat(path)).size / 2 ** 20];
    const [what, of] = [patch.join(' x '), shape.join(' x ')];
    const random = { case: `random ${what} of ${of}`, peerName: 'reading the .nii.gz' };
    const loader = (patch: Vec3) => `loader, ${patch.join(' x ')}, as many patches at once as threads`;
    const rows: BenchRow[] = [
      row({ ...random, metric: 'time', unit: 's' }, seconds(runs.patch), seconds(runs.file)),
      row({ ...random, metric: 'processor time', unit: 's' }, cpu(runs.patch), cpu(runs.file)),
      row(
        { case: `store of ${of}`, metric: 'size', unit: 'MiB', peerName: 'the .nii.gz' },
        await size(join(volume.folder, 'c/0/0/0')),
        await size(file),
      ),
      row(
        { case: `preparing ${of}, 1 thread`, metric: 'time', unit: 's', peerName: 'reading the .nii.gz' },
        [preparation.seconds],
        seconds(runs.file),
      ),
      row({ case: loader(patch), metric: 'time a patch', unit: 's', peerName: 'none' }, runs.loader, []),
      row(
        { case: loader(toy.patch), metric: 'time a patch', unit: 's', peerName: 'training step, toy preset' },
        toyRuns.loader,
        toyRuns.step,
      ),
    ];
    return { bench: 'store', machine: machine(), rows };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function timed(call: () => Promise<unknown>): Promise<Timed> {
  const before = process.cpuUsage();
  const start = performance.now();
  await call();
  const used = process.cpuUsage(before);
  return { seconds: (performance.now() - start) / 1000, cpu: (used.user + used.system) / 1e6 };
}

/** The step a loader must keep up with: losses and gradients of one patch on the fastest backend. */
async function trainingStep(): Promise<() => Promise<void>> {
  const { model: config, patch, gan } = presetNamed('toy');
  await useBackend();
  const model = new VqGan(config, 0);
  const state = model.state();
  for (const name of ['codebook.embeddings', 'codebook.N', 'codebook.initialised'])
    state.get(name)!.data.forEach((_, n, data) => {
      data[n] = name.endsWith('embeddings') ? Math.sin(n) : 1;
    });
  model.load(state);
  const objective = new Objective(model, { gan, seed: 0 });
  return async () => {
    const x = tf.zeros([1, patch[2], patch[1], patch[0], 1]) as tf.Tensor5D;
    const made = await objective.lossAndGradients(x, { step: 0, offset: 0, total: 1, peers: alone });
    for (const gradient of Object.values(made.gradients)) gradient.dataSync();
    tf.dispose([x, made.gradients, made.latents, made.codes]);
  };
}

/** Mean time of a patch when many are requested at once, so that all threads are busy. */
async function secondsAPatch(volume: StoredVolume, patch: Vec3, count: number): Promise<number> {
  const places = randomPlaces(volume.shape, patch);
  const all = await timed(() =>
    Promise.all(Array.from({ length: count }, () => volume.readPatch(places(), patch))),
  );
  return all.seconds / count;
}

/** A random place where a patch fits, the same in every run. */
function randomPlaces(shape: Vec3, patch: Vec3): () => Vec3 {
  let state = 1;
  const below = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * Math.max(1, n));
  };
  return () => [
    below(shape[0] - patch[0] + 1),
    below(shape[1] - patch[1] + 1),
    below(shape[2] - patch[2] + 1),
  ];
}

function seconds(runs: readonly Timed[]): number[] {
  return runs.map((run) => run.seconds);
}

function cpu(runs: readonly Timed[]): number[] {
  return runs.map((run) => run.cpu);
}
