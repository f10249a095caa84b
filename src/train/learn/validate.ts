import * as tf from '@tensorflow/tfjs-core';
import { knownErrors, psnrOfMse } from '../../fidelity/error-sums';
import { fitsSsim, ssimSums } from '../../fidelity/ssim';
import { perplexity, usage } from '../../model/codebook';
import type { VqGan } from '../../model/vqgan';
import { Random } from '../../random';
import { clip } from '../../volume/intensity';
import type { Collective } from '../collective/collective';
import type { OwnVoxels, PatchSet } from '../data/patch-set';
import type { RunConfig } from '../settings/config';
import type { MeasuredIn } from '../settings/measures';
import { Columns } from './columns';

/** The model's range. */
const [low, high] = [-1, 1];
const dataRange = high - low;

/**
 * Measures the model on the validation patches, shared out over the ranks. Each patch's figures are gathered and
 * added up in patch order on every rank, so the result does not depend on the number of ranks. Each voxel counts once.
 * PSNR, SSIM and MAE are those of `compareVolumes`: within the intensity window, with `ignoreNaN`: a patch of a
 * volume is measured where the volume has values. The L1 loss is that of training: what the model gives outside its range counts in full.
 *
 * @param onShown gets, on rank 0, the patch in which there is most to see, and what the model made of it: [pz * py * px]
 * in the model's range; the same patch on any number of ranks
 */
export async function validate(
  { model, collective, config }: { model: VqGan; collective: Collective; config: RunConfig },
  set: PatchSet,
  onShown?: (patch: Float32Array, decoded: Float32Array) => void,
) {
  const chosen = sample(set.count, config.validationPatches, config.seed);
  const counts = new Float32Array(model.quantiser.size);
  const rows: PatchRow[] = [];
  for (let i = collective.rank; i < chosen.length; i += collective.worldSize) {
    const measuring = measure(model, set, chosen[i]!, config);
    set.prefetch(chosen.slice(i + collective.worldSize, i + collective.worldSize + 1));
    const { figures, codes, patch } = await measuring;
    for (const code of codes) counts[code]!++;
    rows.push({ place: i, ...figures, detail: detail(patch, config.patch) });
    // The heartbeat and the sockets get their turn between two patches.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const gathered = await collective.allGather(patchColumns.pack(rows), 'validation');
  await collective.allReduce([counts], 'validation codes');

  const patches = gathered.flatMap((array) => patchColumns.unpack(array)).sort((a, b) => a.place - b.place);
  const sum = (of: (row: PatchRow) => number) => patches.reduce((total, row) => total + of(row), 0);
  const voxels = sum((row) => row.voxels);
  const mean = (column: keyof PatchRow) => sum((row) => row.voxels * row[column]) / voxels;
  if (onShown && collective.rank === 0) {
    const { place } = patches.reduce((best, row) => (row.detail > best.detail ? row : best));
    const { patch, decoded } = await measure(model, set, chosen[place]!, config);
    onShown(patch, decoded);
  }
  const windows = sum((row) => row.windows);
  const reconstruction = mean('reconstruction');
  return {
    loss: config.model.reconstruction * reconstruction + mean('quantiser'),
    reconstruction,
    commitment: mean('commitment'),
    psnr: psnrOfMse(mean('mse'), { dataRange }),
    mae: mean('mae'),
    ...(windows > 0 && { ssim: sum((row) => row.windows * row.ssim) / windows }),
    perplexity: perplexity(counts),
    usage: usage(counts),
    patches: patches.length,
  } satisfies MeasuredIn<'validation'>;
}

/** What is gathered of each patch: its place among the chosen, its own voxels, means over them, SSIM over windows. */
const patchColumns = new Columns([
  'place',
  'voxels',
  'reconstruction',
  'mse',
  'mae',
  'commitment',
  'quantiser',
  'windows',
  'ssim',
  'detail',
]);
type PatchRow = ReturnType<typeof patchColumns.unpack>[number];

/** The own voxels of a patch, `[z, y, x]`. */
function partOf(patch: Float32Array, { from, to }: OwnVoxels, [px, py]: RunConfig['patch']): Float32Array {
  const [width, height, depth] = [to[0] - from[0], to[1] - from[1], to[2] - from[2]];
  const part = new Float32Array(width * height * depth);
  for (let row = 0; row < height * depth; row++) {
    const [y, z] = [from[1] + (row % height), from[2] + Math.floor(row / height)];
    const start = (z * py + y) * px + from[0];
    part.set(patch.subarray(start, start + width), row * width);
  }
  return part;
}

/** How many SSIM windows the own part of a patch has, and their mean; 0 and 0 where it is too small. */
function similarity(truth: Float32Array, decoded: Float32Array, { from, to }: OwnVoxels) {
  const shape = [to[0] - from[0], to[1] - from[1], to[2] - from[2]] as const;
  if (!fitsSsim(shape)) return { windows: 0, ssim: 0 };
  const { windows, ssim } = ssimSums(truth, decoded, { shape, dataRange, low });
  return { windows, ssim: windows > 0 ? ssim : 0 };
}

/** Measures one patch. Returns its figures, its codes, itself and what the model made of it. */
async function measure(model: VqGan, set: PatchSet, index: number, config: RunConfig) {
  const own = set.own(index);
  const { patch, truth } = await set.readTruth(index); // [pz * py * px]; the truth is NaN where it is not known
  const [px, py, pz] = config.patch;
  const [y, commitment, loss, codes] = tf.tidy(() => {
    const x = tf.tensor5d(patch, [1, pz, py, px, 1]);
    const z = model.encode(x);
    const latents: tf.Tensor2D = tf.reshape(z, [-1, model.config.codeDim]);
    const { codes, embeddings, commitment, loss } = model.quantiser.forward(latents, model.weights);
    return [model.decode(tf.reshape(embeddings, z.shape)), commitment, loss, codes] as const;
  });
  const [decoded, used] = [y.dataSync<'float32'>(), codes.dataSync<'int32'>()];
  const ownTruth = partOf(truth, own, config.patch);
  const ownDecoded = partOf(decoded, own, config.patch);
  const clipped = clip(ownDecoded, { low, high });
  const errors = knownErrors(ownTruth, clipped);
  const voxels = errors.count;
  // A patch without known voxels has no means.
  const mean = (value: number) => (voxels > 0 ? value : 0);
  const figures = {
    voxels,
    reconstruction: mean(knownErrors(ownTruth, ownDecoded).mae),
    mse: mean(errors.mse),
    mae: mean(errors.mae),
    commitment: commitment.dataSync()[0]!,
    quantiser: loss.dataSync()[0]!,
    ...similarity(ownTruth, clipped, own),
  };
  tf.dispose([y, commitment, loss, codes]);
  return { figures, codes: used, patch, decoded };
}

/** Bits a voxel that the middle slice takes at 32 grey levels: 0 for air alone, more where there is more to see. */
function detail(patch: Float32Array, [px, py, pz]: RunConfig['patch']): number {
  const levels = new Float64Array(32);
  const start = (pz >> 1) * px * py;
  for (const value of patch.subarray(start, start + px * py))
    levels[Math.max(0, Math.min(31, Math.floor((value + 1) * 16)))]!++;
  const shares = [...levels].map((count) => count / (px * py));
  return shares.reduce((bits, share) => (share > 0 ? bits - share * Math.log2(share) : bits), 0);
}

/**
 * At most `most` of the numbers 0 to count - 1, drawn by the seed, in ascending order. Drawn, because equal steps
 * through a grid of patches can fall on the same border column every time.
 */
export function sample(count: number, most: number, seed: number): number[] {
  const drawn = new Random(seed, 'validation patches').permutation(count).slice(0, most);
  return drawn.sort((a, b) => a - b);
}
