import * as tf from '@tensorflow/tfjs-core';
import { takePassTimes } from '../../compute/pass-times';
import { perplexity, usage } from '../../model/codebook';
import type { Collective } from '../collective/collective';
import type { PatchSet } from '../data/patch-set';
import type { Share } from '../data/sampler';
import type { RunConfig } from '../settings/config';
import { GradientBuckets } from './buckets';
import { type Pass, passCount, passesOf, rowsOf } from './contribution';
import type { Learner, UpdateResult } from './learner';
import { type Resources, resourceNames } from './resources';

/** What one optimiser step did, the same on every rank but for the clock. */
export interface StepResult {
  readonly loss: number;
  readonly reconstruction: number;
  readonly commitment: number;
  /** Of discriminators and perceptual loss, where the run has them. */
  readonly perceptual?: number;
  readonly adversarial?: number;
  readonly features?: number;
  readonly discriminator?: number;
  readonly logitsReal?: number;
  readonly logitsFake?: number;
  readonly adversarialScale?: number;
  readonly discriminatorNorm?: number;
  /** What is wrong, if anything, and whether the step was applied all the same. */
  readonly diverged?: UpdateResult['diverged'];
  readonly perplexity: number;
  readonly usage: number;
  readonly restartedCodes?: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly secondsByRank: readonly number[];
  readonly cpuByRank: readonly number[];
  readonly memoryByRank: readonly number[];
  /** Only where a rank has a GPU that nvidia-smi knows. */
  readonly gpuByRank?: readonly number[];
  readonly gpuMemoryByRank?: readonly number[];
  /** Where this rank's time went. */
  readonly seconds: StepSeconds;
  /** Whether any rank was asked to stop, or for a checkpoint. */
  readonly stop: boolean;
  readonly save: boolean;
}

export interface StepSeconds {
  /** Waiting for patches. */
  readonly data: number;
  readonly forward: number;
  /** The backward pass, and the way of its gradients out of the backend. */
  readonly backward: number;
  /** Sums over the ranks, and waiting for the slowest of them. */
  readonly communication: number;
  /** Clipping, the optimiser, the quantiser. */
  readonly optimiser: number;
}

/** What a step works on. */
export interface Training {
  readonly learner: Learner;
  readonly collective: Collective;
  readonly config: RunConfig;
  readonly patches: PatchSet;
}

/**
 * One optimiser step of all ranks: losses and gradients of the local patches, in one pass or several; one sum over the
 * ranks of everything that must agree, of the gradients already in the last backward pass where that pays; then the
 * same clipping, Adam and quantiser update everywhere.
 *
 * @param step optimiser steps done before this one
 */
export async function trainStep(
  training: Training,
  share: Share,
  step: number,
  wishes: { readonly stop: boolean; readonly save: boolean; readonly resources?: () => Resources },
): Promise<StepResult> {
  const { learner, collective, config } = training;
  const clock = new Clock();
  const passes = passesOf(share, config.batch);
  await prepareQuantiser(training, passes, share, clock);
  const sum = learner.nothing(step);
  const buckets = collective.overlaps ? new GradientBuckets(sum.gradients, collective) : undefined;
  const count = passCount(share, config.batch, collective.worldSize);
  for (const [i, pass] of passes.entries()) {
    const x = await readBatch(training, pass.patches);
    clock.lap('data');
    takePassTimes();
    // Only where no rank has another pass: sums may not come between what ranks say to one another in passes.
    const ready = i === count - 1 && buckets ? (name: string) => buckets.ready(name) : undefined;
    await learner.contribute(sum, x, pass, step, ready);
    x.dispose();
    const { forward } = takePassTimes();
    clock.lap('backward');
    clock.move('backward', 'forward', forward);
  }
  for (let i = passes.length; i < count; i++) await learner.lookOn(step);

  // Now, when the step's tensors have been there: before it, the first step would have none.
  const resources = wishes.resources?.();
  const work = clock.spent.data + clock.spent.forward + clock.spent.backward;
  const ranks = new RankTable(collective, [work, ...resourceNames.map((name) => resources?.[name] ?? 0)]);
  const asked = Float32Array.of(wishes.stop ? 1 : 0, wishes.save ? 1 : 0);
  const figures = [...sum.figures, ranks.sum, asked];
  if (buckets) await Promise.all([buckets.finish(), collective.allReduce(figures, 'step')]);
  else await collective.allReduce([...sum.gradients.values(), ...figures], 'step');
  clock.lap('communication');

  const updated = learner.update(sum, step);
  clock.lap('optimiser');
  const { loss, reconstruction, commitment } = sum.named;
  return {
    ...learner.lossesOf(sum),
    ...{ loss, reconstruction, commitment },
    perplexity: perplexity(sum.statistics.counts),
    usage: usage(sum.statistics.counts),
    ...updated,
    secondsByRank: ranks.column(0),
    cpuByRank: ranks.column(1),
    memoryByRank: ranks.column(2),
    ...(ranks.column(4).some((memory) => memory > 0) && {
      gpuByRank: ranks.column(3),
      gpuMemoryByRank: ranks.column(4),
    }),
    seconds: clock.spent,
    stop: asked[0]! > 0,
    save: asked[1]! > 0,
  };
}

/** What the quantiser must know of the latents of all ranks before a step: at the first, where its codes start. */
async function prepareQuantiser(
  training: Training,
  passes: readonly Pass[],
  share: Share,
  clock: Clock,
): Promise<void> {
  const { collective, config } = training;
  const { model } = training.learner;
  const latents = async (): Promise<tf.Tensor2D> => {
    const parts: tf.Tensor2D[] = [];
    for (const pass of passes) {
      const x = await readBatch(training, pass.patches);
      clock.lap('data');
      parts.push(tf.tidy(() => tf.reshape(model.encode(x), [-1, model.config.codeDim])));
      x.dispose();
      clock.lap('forward');
    }
    const all = tf.concat(parts, 0);
    tf.dispose(parts);
    return all;
  };
  await model.quantiser.prepare({
    latents: passes.length > 0 ? latents : undefined,
    rows: rowsOf(share, config),
    weights: model.weights,
    onePass: collective.worldSize === 1 && passes.length === 1,
    sum: async (arrays) => {
      await collective.allReduce(arrays, 'quantiser');
      clock.lap('communication');
    },
  });
}

/** [n, pz, py, px, 1] */
async function readBatch({ patches, config }: Training, indices: readonly number[]): Promise<tf.Tensor5D> {
  const [px, py, pz] = config.patch;
  return tf.tensor5d(await patches.readBatch(indices), [indices.length, pz, py, px, 1]);
}

/** A row of figures for every rank, each put in by its own. */
class RankTable {
  readonly sum: Float32Array;

  constructor(
    { rank, worldSize }: Collective,
    private readonly row: readonly number[],
  ) {
    this.sum = new Float32Array(worldSize * row.length);
    this.sum.set(row, rank * row.length);
  }

  /** One figure of every rank, once the rows are summed. */
  column(at: number): number[] {
    return [...this.sum].filter((_, i) => i % this.row.length === at);
  }
}

/** Shares the time of a step out. */
class Clock {
  readonly spent = { data: 0, forward: 0, backward: 0, communication: 0, optimiser: 0 };
  private last = performance.now();

  /** The time since the last lap was spent on this. */
  lap(what: keyof StepSeconds): void {
    const now = performance.now();
    this.spent[what] += (now - this.last) / 1000;
    this.last = now;
  }

  move(from: keyof StepSeconds, to: keyof StepSeconds, seconds: number): void {
    this.spent[from] -= seconds;
    this.spent[to] += seconds;
  }
}
