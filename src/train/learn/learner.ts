import * as tf from '@tensorflow/tfjs-core';
import { adversarialFactor, hasDiscriminators } from '../../model/discriminators/config';
import { Discriminators } from '../../model/discriminators/discriminators';
import { Objective } from '../../model/objective';
import type { Peers } from '../../model/peers';
import { Perceptual } from '../../model/perceptual';
import { VqGan } from '../../model/vqgan';
import { type Weights, weightState } from '../../model/weights';
import { readForeignSafetensors, type StoredTensor } from '../../safetensors';
import type { RunConfig } from '../settings/config';
import { type Losses, lossNames, type MeasuredIn, measures } from '../settings/measures';
import { WeightAverage } from './average';
import { type DivergenceState, DivergenceWatch } from './divergence';
import { makeOptimiser, type Optimiser } from './optimiser';
import { type Pass, rowsOf, StepSum } from './passes';
import { learningRateAt } from './schedule';

type Trained = MeasuredIn<'train'>;

/** What the update of a step has done: the same on every rank. */
interface Update
  extends Pick<Trained, 'gradientNorm' | 'discriminatorNorm' | 'learningRate' | 'restartedCodes'> {
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

/** Everything that learns in a run, with its optimisers. Ranks that are given the same sums stay bit-identical. */
export class Learner {
  readonly model: VqGan;
  private readonly optimiser: Optimiser;
  private readonly average: WeightAverage | undefined;
  private readonly perceptual: Perceptual | undefined;
  private readonly watch: DivergenceWatch;
  /** Once they have joined. */
  private discriminators: { readonly networks: Discriminators; readonly optimiser: Optimiser } | undefined;
  private objective: Objective;

  /**
   * @param steps optimiser steps of the whole run
   * @param peers the ranks that train together
   */
  constructor(
    private readonly config: RunConfig,
    private readonly steps: number,
    private readonly peers: Peers,
  ) {
    this.model = new VqGan(config.model, config.seed, config.checkpointing);
    this.optimiser = this.makeOptimiser(this.model.weights);
    this.average = config.average > 0 ? new WeightAverage(this.model.weights, config.average) : undefined;
    this.perceptual = loadPerceptual(config);
    this.watch = new DivergenceWatch(config.divergence);
    this.objective = this.makeObjective();
  }

  /**
   * Begins a step: the discriminators join when it is their turn. Returns the sum that the passes are added to. A step
   * that threw leaves its gradients behind: go on with a new learner.
   * @param step optimiser steps done before this one
   */
  beginStep(step: number): StepSum {
    const { gan } = this.config;
    if (!this.discriminators && hasDiscriminators(gan) && adversarialFactor(gan, step) > 0)
      this.joinDiscriminators();
    return new StepSum(this.model.quantiser.noStatistics());
  }

  /** Those that have joined by now. They hold the gradients of the step under way, to be summed over the ranks. */
  get optimisers(): readonly Optimiser[] {
    return this.discriminators ? [this.optimiser, this.discriminators.optimiser] : [this.optimiser];
  }

  /**
   * Adds one pass over some patches [n, d, h, w, 1] of the global batch, weighted by their number: over all passes of
   * all ranks the sums are those of the whole batch. A rank that has no patch for a pass of the others must call
   * `addEmptyPass`.
   * @param step optimiser steps done before this one
   * @param ready called in the last pass of a step for every gradient that is whole, while others are still computed
   */
  async addPass(sum: StepSum, x: tf.Tensor5D, pass: Pass, step: number, ready?: (name: string) => void) {
    const part = { ...pass, step, peers: this.peers };
    const added = new Set<string>();
    const add = (name: string, gradient: tf.Tensor) => {
      added.add(name);
      const isOfModel = this.model.weights.has(name);
      (isOfModel ? this.optimiser : this.discriminators!.optimiser).add(name, gradient);
      ready?.(name);
    };
    const result = await this.objective.lossAndGradients(x, part, ready && add);
    const { losses, gradients, latents, codes } = result;
    for (const [name, gradient] of Object.entries(gradients)) if (!added.has(name)) add(name, gradient);
    const rows = { ...rowsOf(pass, this.config), step };
    sum.add(losses, this.model.quantiser.statistics(latents, codes, rows));
    tf.dispose([gradients, latents, codes]);
  }

  /** Takes part in a pass for which this rank has no patch. */
  async addEmptyPass(step: number): Promise<void> {
    await this.objective.emptyPass({ step, peers: this.peers });
  }

  /**
   * Clips and applies the gradients and the quantiser's statistics of the whole global batch. If a loss or a gradient
   * is not finite, weights and optimisers stay as they were before the step.
   */
  update(sum: StepSum, step: number): Update {
    const { clip, gan } = this.config;
    const learningRate = learningRateAt(this.config, step, this.steps);
    const discriminators = this.discriminators?.optimiser;
    const norms = {
      gradientNorm: this.optimiser.clip(clip),
      ...(discriminators && { discriminatorNorm: discriminators.clip(clip) }),
    };
    const broken = notFinite({ ...sum.losses, ...norms });
    if (!broken) {
      this.optimiser.step(learningRate);
      const own = gan.learningRate ?? this.config.learningRate;
      discriminators?.step((learningRate * own) / this.config.learningRate);
    }
    for (const optimiser of this.optimisers) optimiser.clear();
    if (broken) return { ...norms, learningRate, diverged: { what: broken, applied: false } };
    this.average?.update(step);
    const restartedCodes = this.model.quantiser.apply(sum.statistics);
    const what = this.watch.see(sum.losses.reconstruction);
    return {
      ...norms,
      learningRate,
      ...(restartedCodes !== undefined && { restartedCodes }),
      ...(what && { diverged: { what, applied: true } }),
    };
  }

  /** The losses of a step that has been summed over all ranks: those that this run has by now. */
  lossesOf({ losses }: StepSum): Losses {
    const has = { always: true, perceptual: this.perceptual, discriminators: this.discriminators };
    const names = lossNames.filter((name) => has[measures[name].loss]);
    return Object.fromEntries(names.map((name) => [name, losses[name]])) as unknown as Losses;
  }

  /** Runs something with the weights that the config says to use: as trained, or their average. */
  async withUsedWeights<T>(use: () => Promise<T>): Promise<T> {
    return this.average && this.config.use === 'average' ? this.average.during(use) : use();
  }

  /** What is wrong with the weights, if a checkpoint should not keep them: a value that is not finite or huge. */
  unsound(): string | undefined {
    const all = [...this.model.weights, ...(this.discriminators?.networks.weights ?? [])];
    for (const [name, weight] of all)
      for (const value of weight.dataSync<'float32'>())
        if (!(Math.abs(value) <= LARGEST_WEIGHT)) return `a weight of ${name} is ${value}`;
    return undefined;
  }

  /** What a checkpoint keeps of it. Copies. */
  state() {
    const { model, average, discriminators, watch } = this;
    const weights = discriminators ? weightState(discriminators.networks.weights) : [];
    const counters: LearnerCounters = {
      adamSteps: this.optimiser.steps,
      ...(discriminators && { discriminatorSteps: discriminators.optimiser.steps }),
      divergence: watch.state,
    };
    return {
      model: new Map([...model.state(), ...(average?.state() ?? []), ...weights]),
      optimiser: new Map(this.optimisers.flatMap((optimiser) => [...optimiser.state()])),
      counters,
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
    this.optimiser.load(checkpoint.optimiser, adamSteps);
    this.average?.load(checkpoint.model);
    if (divergence) this.watch.load(divergence);
    if (discriminatorSteps === undefined || !hasDiscriminators(this.config.gan)) return;
    const { networks, optimiser } = this.joinDiscriminators();
    networks.load(checkpoint.model);
    optimiser.load(checkpoint.optimiser, discriminatorSteps);
  }

  dispose(): void {
    this.model.dispose();
    this.discriminators?.networks.dispose();
    this.average?.dispose();
    for (const optimiser of this.optimisers) optimiser.dispose();
    this.perceptual?.dispose();
  }

  private makeOptimiser(weights: Weights): Optimiser {
    const { betas, optimiser, weightDecay } = this.config;
    return makeOptimiser(weights, { betas, weightDecay, decoupled: optimiser === 'adamw' });
  }

  private joinDiscriminators(): NonNullable<typeof this.discriminators> {
    const networks = new Discriminators(this.config.gan, this.config.seed);
    this.discriminators = { networks, optimiser: this.makeOptimiser(networks.weights) };
    this.objective = this.makeObjective();
    return this.discriminators;
  }

  private makeObjective(): Objective {
    const { gan, perceptual, seed } = this.config;
    return new Objective(this.model, {
      gan,
      seed,
      discriminators: this.discriminators?.networks,
      perceptual: this.perceptual && { loss: this.perceptual, weight: perceptual.weight },
    });
  }
}

function loadPerceptual({ perceptual: { weight, vgg, heads } }: RunConfig): Perceptual | undefined {
  if (weight === 0) return undefined;
  const [network, learnt] = [vgg!, heads!].map((path) => readForeignSafetensors(path).tensors);
  return new Perceptual(network!, learnt!);
}

/** The figures that are not finite, as text; empty where all are. */
function notFinite(figures: Readonly<Record<string, number>>): string {
  const broken = Object.entries(figures).filter(([, value]) => !Number.isFinite(value));
  return broken.map(([name, value]) => `${name} is ${value}`).join(', ');
}
