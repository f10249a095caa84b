import * as tf from '@tensorflow/tfjs-core';
import { perplexity, usage } from '../model/codebook';
import type { VqGan } from '../model/vqgan';
import { type Adam, clipByGlobalNorm } from './adam';
import type { Collective } from './collective/collective';
import type { RunConfig } from './config';
import type { PatchSet } from './patch-set';
import type { Share } from './sampler';
import { learningRateAt } from './schedule';

/** What one optimiser step did, the same on every rank. */
export interface StepResult {
  readonly loss: number;
  readonly reconstruction: number;
  readonly commitment: number;
  readonly perplexity: number;
  readonly usage: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly secondsByRank: readonly number[];
  /** True if any rank was asked to stop. */
  readonly stop: boolean;
}

/** What a step works on. */
export interface Training {
  readonly model: VqGan;
  readonly adam: Adam;
  readonly collective: Collective;
  readonly config: RunConfig;
  readonly patches: PatchSet;
  /** Optimiser steps of the whole run. */
  readonly steps: number;
}

/** What a rank adds to the one sum of a step. */
interface Contribution {
  readonly gradients: ReadonlyMap<string, Float32Array>;
  readonly losses: Float32Array; // total, reconstruction, commitment, each times its share of the batch
  readonly counts: Float32Array;
  readonly sums: Float32Array;
  readonly candidates: Float32Array;
}

/**
 * One optimiser step of all ranks: losses and gradients of the local patches, one all-reduce of everything that
 * must agree, then the same clipping, Adam and codebook update everywhere.
 * @param step optimiser steps done before this one
 */
export async function trainStep(
  training: Training,
  share: Share,
  step: number,
  wantsToStop: boolean,
): Promise<StepResult> {
  const { model, adam, collective, config } = training;
  const started = performance.now();
  const x = await readBatch(training.patches, share.patches, config.patch);
  if (!model.codebook.initialised) await initialiseCodebook(training, x, share);
  const mine = x ? contribution(model, x, share, config.seed, step) : nothing(model);
  x?.dispose();

  const seconds = new Float32Array(collective.worldSize);
  seconds[collective.rank] = (performance.now() - started) / 1000;
  const stop = Float32Array.of(wantsToStop ? 1 : 0);
  const { gradients, losses, ...statistics } = mine;
  await collective.allReduce(
    [...gradients.values(), losses, ...Object.values(statistics), seconds, stop],
    'step',
  );

  const gradientNorm = clipByGlobalNorm(gradients.values(), config.clip);
  const learningRate = learningRateAt(config, step, training.steps);
  adam.step(gradients, learningRate);
  model.codebook.apply(statistics);
  return {
    loss: losses[0]!,
    reconstruction: losses[1]!,
    commitment: losses[2]!,
    perplexity: perplexity(statistics.counts),
    usage: usage(statistics.counts),
    gradientNorm,
    learningRate,
    secondsByRank: [...seconds],
    stop: stop[0]! > 0,
  };
}

/** The codes start from latents of the first global batch, whichever rank holds them. */
async function initialiseCodebook(
  { model, collective, config }: Training,
  x: tf.Tensor5D | undefined,
  share: Share,
) {
  const { codes, codeDim } = model.codebook;
  let codebook: Float32Array = new Float32Array(codes * codeDim);
  if (x) {
    const latents = tf.tidy(() => tf.reshape(model.encode(x), [-1, codeDim]) as tf.Tensor2D);
    codebook = model.codebook.initialisation(latents, rowsOf(latents, share, config.seed));
    latents.dispose();
  }
  await collective.allReduce([codebook], 'codebook initialisation');
  model.codebook.initialise(codebook);
}

function contribution(model: VqGan, x: tf.Tensor5D, share: Share, seed: number, step: number): Contribution {
  const { losses, gradients, latents, codes } = model.lossAndGradients(x);
  const weight = share.patches.length / share.total;
  const scaled = new Map(
    [...model.weights.keys()].map((name) => {
      const gradient = gradients[name]!.dataSync<'float32'>();
      return [name, gradient.map((g) => g * weight)] as const;
    }),
  );
  const rows = rowsOf(latents, share, seed);
  const statistics = model.codebook.statistics(latents, codes, { ...rows, step });
  tf.dispose([gradients, latents, codes]);
  const parts = [losses.total, losses.reconstruction, losses.commitment];
  return { gradients: scaled, losses: Float32Array.from(parts, (part) => part * weight), ...statistics };
}

/** A rank that an uneven tail leaves without patches still takes part in the sum. */
function nothing(model: VqGan): Contribution {
  const { codes, codeDim } = model.codebook;
  return {
    gradients: new Map([...model.weights].map(([name, weight]) => [name, new Float32Array(weight.size)])),
    losses: new Float32Array(3),
    counts: new Float32Array(codes),
    sums: new Float32Array(codes * codeDim),
    candidates: new Float32Array(codes * codeDim),
  };
}

/** Which rows of the global batch's latents these are. */
function rowsOf(
  latents: tf.Tensor2D,
  share: Share,
  seed: number,
): { offset: number; total: number; seed: number } {
  const perPatch = latents.shape[0] / share.patches.length;
  return { offset: share.offset * perPatch, total: share.total * perPatch, seed };
}

/** [n, pz, py, px, 1]; undefined for no patches. */
async function readBatch(
  set: PatchSet,
  patches: readonly number[],
  patch: readonly number[],
): Promise<tf.Tensor5D | undefined> {
  if (patches.length === 0) return undefined;
  const [px, py, pz] = patch as [number, number, number];
  const voxels = px * py * pz;
  const batch = new Float32Array(patches.length * voxels);
  for (const [i, index] of patches.entries()) batch.set(await set.read(index), i * voxels);
  return tf.tensor5d(batch, [patches.length, pz, py, px, 1]);
}
