import * as tf from '@tensorflow/tfjs-core';
import { currentBackend } from '../../compute/contract/registry';
import { Adversary } from '../../model/discriminators/adversary';
import { adversarialFactor, hasDiscriminators } from '../../model/discriminators/config';
import { Objective } from '../../model/objective';
import type { Peers } from '../../model/peers';
import { Perceptual } from '../../model/perceptual';
import { VqGan } from '../../model/vqgan';
import { type Weights, weightState } from '../../model/weights';
import { readForeignSafetensors, type StoredTensor } from '../../safetensors';
import type { RunConfig } from '../settings/config';
import { type Losses, lossNames, measures } from '../settings/measures';
import { Adam, clipByGlobalNorm } from './adam';
import { WeightAverage } from './average';
import { BackendAdam, clipping } from './backend-adam';
import { Contribution, type Pass, rowsOf } from './contribution';
import { type DivergenceState, DivergenceWatch } from './divergence';
import { learningRateAt } from './schedule';

/** What the update of a step did, the same on every rank. */
export interface UpdateResult {
  /** Norms of the gradients before clipping, of the generator and of the discriminators. */
  readonly gradientNorm: number;
  readonly discriminatorNorm?: number;
  readonly learningRate: number;
  /** Dead codes that restarted; absent where the quantiser's codes do not die. */
  readonly restartedCodes?: number;
  /** What is wrong, if anything, and whether the step was applied all the same. */
  readonly diverged?: { readonly what: string; readonly applied: boolean };
}

/** Weights are of the order of 1; normalisation hides how large they become until nothing is finite. */
const LARGEST_WEIGHT = 1e6;

/** What a learner counts; a checkpoint keeps it. */
export interface LearnerCounters {
  readonly adamSteps: number;
  /** Steps of the discriminators' optimiser, once they have joined. */
  readonly discriminatorSteps?: number;
  readonly divergence?: DivergenceState;
}

/** Discriminators that have joined, with their optimiser. */
interface Opponent {
  readonly adversary: Adversary;
  readonly adam: Optimiser;
}

type Optimiser = Adam | BackendAdam;

/** Everything that learns in a run, with its optimisers. Ranks that are given the same sums stay bit-identical. */
export class Learner {
  readonly model: VqGan;
  private readonly onBackend: boolean;
  private readonly adam: Optimiser;
  private readonly average: WeightAverage | undefined;
  private readonly perceptual: Perceptual | undefined;
  private readonly watch: DivergenceWatch;
  private opponent: Opponent | undefined;
  private objective: Objective;

  /**
   * @param steps optimiser steps of the whole run
   * @param peers the ranks that train together
   * @param alone whether there is one rank: gradients and moments then stay on a backend that moves weights itself
   */
  constructor(
    private readonly config: RunConfig,
    private readonly steps: number,
    private readonly peers: Peers,
    alone = false,
  ) {
    this.onBackend = alone && currentBackend().optimiser !== undefined;
    this.model = new VqGan(config.model, config.seed, config.checkpointing);
    this.adam = this.optimiser(this.model.weights);
    this.average = config.average > 0 ? new WeightAverage(this.model.weights, config.average) : undefined;
    this.perceptual = loadPerceptual(config);
    this.watch = new DivergenceWatch(config.divergence);
    this.objective = this.makeObjective();
  }

  /**
   * The sum that the passes of a step are added to. The discriminators join here, when it is their turn: a run that
   * never comes so far neither makes nor stores them.
   * @param step optimiser steps done before this one
   */
  nothing(step: number): Contribution {
    const { gan } = this.config;
    if (!this.opponent && hasDiscriminators(gan) && adversarialFactor(gan, step) > 0) this.meetOpponent();
    const weights = new Map([...this.model.weights, ...(this.opponent?.adversary.weights ?? [])]);
    return new Contribution(weights, this.model.quantiser.noStatistics(), this.onBackend);
  }

  /**
   * Adds one pass over some patches [n, d, h, w, 1] of the global batch, weighted by their number: over all passes of
   * all ranks the sums are those of the whole batch. A rank that has no patch for a pass of the others must `lookOn`.
   * @param step optimiser steps done before this one
   * @param ready told, in the last pass of a step, of every gradient of the sum that is whole, while others are still
   * being computed
   */
  async contribute(
    sum: Contribution,
    x: tf.Tensor5D,
    pass: Pass,
    step: number,
    ready?: (name: string) => void,
  ): Promise<void> {
    const { offset, total } = pass;
    const part = { step, offset, total, peers: this.peers };
    const added = new Set<string>();
    const early = (name: string, gradient: tf.Tensor) => {
      sum.addGradient(name, gradient);
      added.add(name);
      ready!(name);
    };
    const { losses, gradients, latents, codes } = await this.objective.lossAndGradients(
      x,
      part,
      ready && early,
    );
    const rows = { ...rowsOf(pass, this.config), step };
    const statistics = this.model.quantiser.statistics(latents, codes, rows);
    sum.add(
      lossNames.map((name) => losses[name]),
      gradients,
      statistics,
      added,
    );
    tf.dispose([gradients, latents, codes]);
  }

  /** Takes part in a pass for which this rank has no patch. */
  async lookOn(step: number): Promise<void> {
    await this.objective.lookOn({ step, peers: this.peers });
  }

  /**
   * Clips and applies the gradients and the quantiser's statistics of the whole global batch. A loss or gradient that
   * is not finite is not applied: weights and optimisers then are what they were before the step.
   */
  update(sum: Contribution, step: number): UpdateResult {
    const { clip, gan } = this.config;
    const learningRate = learningRateAt(this.config, step, this.steps);
    const generator = clipped(this.adam, sum, this.model.weights, clip);
    const { opponent } = this;
    const discriminators = opponent && clipped(opponent.adam, sum, opponent.adversary.weights, clip);
    const norms = {
      gradientNorm: generator.norm,
      ...(discriminators && { discriminatorNorm: discriminators.norm }),
    };
    const broken = notFinite({ ...sum.named, ...norms });
    if (!broken) {
      generator.move(learningRate);
      const own = gan.learningRate ?? this.config.learningRate;
      discriminators?.move((learningRate * own) / this.config.learningRate);
    }
    sum.dispose();
    if (broken) return { ...norms, learningRate, diverged: { what: broken, applied: false } };
    this.average?.update(step);
    const restartedCodes = this.model.quantiser.apply(sum.statistics);
    const what = this.watch.see(sum.named.reconstruction);
    const restarted = restartedCodes === undefined ? {} : { restartedCodes };
    return { ...norms, learningRate, ...restarted, ...(what && { diverged: { what, applied: true } }) };
  }

  /** The losses of a step that has been summed over all ranks: those that this run has by now. */
  lossesOf({ named }: Contribution): Losses {
    const has = { always: true, perceptual: this.perceptual, discriminators: this.opponent };
    const names = lossNames.filter((name) => has[measures[name].loss]);
    return Object.fromEntries(names.map((name) => [name, named[name]])) as unknown as Losses;
  }

  /** Runs something with the weights that the config says to use: as trained, or their average. */
  async withUsedWeights<T>(use: () => Promise<T>): Promise<T> {
    return this.average && this.config.use === 'average' ? this.average.during(use) : use();
  }

  /** What is wrong with the weights, if they are not fit to be kept: not finite, or blown up. */
  unsound(): string | undefined {
    const all = [...this.model.weights, ...(this.opponent?.adversary.weights ?? [])];
    for (const [name, weight] of all)
      for (const value of weight.dataSync<'float32'>())
        if (!(Math.abs(value) <= LARGEST_WEIGHT)) return `a weight of ${name} is ${value}`;
    return undefined;
  }

  /** What a checkpoint keeps of it. Copies. */
  state(): {
    model: Map<string, StoredTensor>;
    optimiser: Map<string, StoredTensor>;
    counters: LearnerCounters;
  } {
    const { model, adam, average, opponent, watch } = this;
    return {
      model: new Map([
        ...model.state(),
        ...(average?.state() ?? []),
        ...(opponent ? weightState(opponent.adversary.weights) : []),
      ]),
      optimiser: new Map([...adam.state(), ...(opponent?.adam.state() ?? [])]),
      counters: {
        adamSteps: adam.steps,
        ...(opponent && { discriminatorSteps: opponent.adam.steps }),
        divergence: watch.state,
      },
    };
  }

  /** Goes on from a checkpoint. @throws InvalidArgument where it is not one of this config. */
  load(checkpoint: {
    readonly model: ReadonlyMap<string, StoredTensor>;
    readonly optimiser: ReadonlyMap<string, StoredTensor>;
    readonly state: LearnerCounters;
  }): void {
    const { adamSteps, discriminatorSteps, divergence } = checkpoint.state;
    this.model.load(checkpoint.model);
    this.adam.load(checkpoint.optimiser, adamSteps);
    this.average?.load(checkpoint.model);
    if (divergence) this.watch.load(divergence);
    if (discriminatorSteps === undefined || !hasDiscriminators(this.config.gan)) return;
    const { adversary, adam } = this.meetOpponent();
    adversary.load(checkpoint.model);
    adam.load(checkpoint.optimiser, discriminatorSteps);
  }

  dispose(): void {
    this.model.dispose();
    if (this.adam instanceof BackendAdam) this.adam.dispose();
    this.opponent?.adversary.dispose();
    if (this.opponent?.adam instanceof BackendAdam) this.opponent.adam.dispose();
    this.perceptual?.dispose();
  }

  private meetOpponent(): Opponent {
    const adversary = new Adversary(this.config.gan, this.config.seed);
    this.opponent = { adversary, adam: this.optimiser(adversary.weights) };
    this.objective = this.makeObjective();
    return this.opponent;
  }

  private optimiser(weights: Weights): Optimiser {
    return new (this.onBackend ? BackendAdam : Adam)(weights, adamOptions(this.config));
  }

  private makeObjective(): Objective {
    const { gan, perceptual, seed } = this.config;
    return new Objective(this.model, {
      gan,
      seed,
      adversary: this.opponent?.adversary,
      perceptual: this.perceptual && { loss: this.perceptual, weight: perceptual.weight },
    });
  }
}

/** Clips the part of a sum that belongs to these weights; `move` then moves them by it. */
function clipped(
  adam: Optimiser,
  sum: Contribution,
  weights: Weights,
  limit: number,
): { norm: number; move(learningRate: number): void } {
  const names = [...weights.keys()];
  if (adam instanceof BackendAdam) {
    const own = Object.fromEntries(names.map((name) => [name, sum.tensors[name]!]));
    const { norm, scale } = clipping(own, limit);
    return { norm, move: (learningRate) => adam.step(own, learningRate, scale) };
  }
  const norm = clipByGlobalNorm(
    names.map((name) => sum.gradients.get(name)!),
    limit,
  );
  return { norm, move: (learningRate) => adam.step(sum.gradients, learningRate) };
}

function adamOptions({ learningRate, betas, optimiser, weightDecay }: RunConfig) {
  return { learningRate, betas, weightDecay, decoupled: optimiser === 'adamw' };
}

function loadPerceptual({ perceptual: { weight, vgg, heads } }: RunConfig): Perceptual | undefined {
  if (weight === 0) return undefined;
  const [network, learnt] = [vgg!, heads!].map((path) => readForeignSafetensors(path).tensors);
  return new Perceptual(network!, learnt!);
}

function notFinite(figures: Readonly<Record<string, number>>): string | undefined {
  const broken = Object.entries(figures).filter(([, value]) => !Number.isFinite(value));
  if (broken.length === 0) return undefined;
  return broken.map(([name, value]) => `${name} is ${value}`).join(', ');
}
