import * as tf from '@tensorflow/tfjs-core';
import { takePassTimes } from '../../compute/ops/pass-times';
import { perplexity, usage } from '../../model/codebook';
import type { Collective } from '../collective/collective';
import type { PatchSet } from '../data/patch-set';
import type { Share } from '../data/sampler';
import type { RunConfig } from '../settings/config';
import { type MeasuredIn, type RankMeasure, rankMeasures, type StepPart } from '../settings/measures';
import { GradientBuckets } from './buckets';
import { Columns } from './columns';
import type { Learner } from './learner';
import { type Pass, passCount, passesOf, rowsOf } from './passes';
import type { RankFigures } from './resources';

/** What one optimiser step did, the same on every rank but for the clock. */
export type StepResult = Awaited<ReturnType<typeof trainStep>>;

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
  requests: { readonly stop: boolean; readonly save: boolean; readonly resources?: () => RankFigures },
) {
  const { learner, collective, config } = training;
  const clock = new Clock();
  const passes = passesOf(share, config.batch);
  await prepareQuantiser(training, passes, share, clock);
  const sum = learner.beginStep(step);
  const buckets = new GradientBuckets(learner.optimisers, collective);
  const count = passCount(share, config.batch, collective.worldSize);
  for (const [i, pass] of passes.entries()) {
    const x = await readBatch(training, pass.patches);
    clock.lap('data');
    takePassTimes();
    // Only where no rank has another pass: sums may not come between what ranks say to one another in passes.
    const early = i === count - 1 && collective.overlaps;
    const ready = early ? (name: string) => buckets.ready(name) : undefined;
    await learner.addPass(sum, x, pass, step, ready);
    x.dispose();
    const { forward } = takePassTimes();
    clock.lap('backward');
    clock.move('backward', 'forward', forward);
  }
  for (let i = passes.length; i < count; i++) await learner.addEmptyPass(step);

  // Now, when the step's tensors have been there: before it, the first step would have none.
  const resources = requests.resources?.();
  const work = clock.spent.data + clock.spent.forward + clock.spent.backward;
  const ranks = ownRow(collective, { ...resources, secondsByRank: work });
  const asked = Float32Array.of(requests.stop ? 1 : 0, requests.save ? 1 : 0);
  const figures = [...sum.arrays, ranks, asked];
  const gradients = buckets.finish();
  if (!collective.overlaps) await gradients;
  await Promise.all([gradients, collective.allReduce(figures, 'step')]);
  clock.lap('communication');

  const { diverged, ...update } = learner.update(sum, step);
  clock.lap('optimiser');
  const { counts } = sum.statistics;
  const measured = {
    ...learner.lossesOf(sum),
    perplexity: perplexity(counts),
    usage: usage(counts),
    ...update,
    ...byRank(ranks),
  } satisfies MeasuredIn<'train'>;
  /** `spent`: where this rank's time went. `stop` and `save`: whether any rank was asked for it. */
  return { measured, diverged, spent: clock.spent, stop: asked[0]! > 0, save: asked[1]! > 0 };
}

/** What the quantiser must know of the latents of all ranks before a step: at the first, where its codes start. */
async function prepareQuantiser(training: Training, passes: readonly Pass[], share: Share, clock: Clock) {
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

const rankColumns = new Columns(rankMeasures);

/** A table with a row for each rank, with this rank's figures filled in: the sum over the ranks is the whole table. */
function ownRow({ rank, worldSize }: Collective, own: RankFigures): Float32Array {
  const table = new Float32Array(worldSize * rankMeasures.length);
  table.set(rankColumns.pack([own]), rank * rankMeasures.length);
  return table;
}

/** A number for each rank, of everything that any rank has. */
function byRank(table: Float32Array): Readonly<Partial<Record<RankMeasure, readonly number[]>>> {
  const rows = rankColumns.unpack(table);
  const found = rankMeasures.filter((name) => rows.some((row) => !Number.isNaN(row[name])));
  return Object.fromEntries(found.map((name) => [name, rows.map((row) => row[name] || 0)]));
}

/** Where the time of a step goes. */
class Clock {
  /** Seconds. Waiting counts too: for patches as data, for other ranks as communication. */
  readonly spent = { data: 0, forward: 0, backward: 0, communication: 0, optimiser: 0 } satisfies Record<
    StepPart,
    number
  >;
  private last = performance.now();

  /** Counts the time since the last lap. */
  lap(what: StepPart): void {
    const now = performance.now();
    this.spent[what] += (now - this.last) / 1000;
    this.last = now;
  }

  move(from: StepPart, to: StepPart, seconds: number): void {
    this.spent[from] -= seconds;
    this.spent[to] += seconds;
  }
}
