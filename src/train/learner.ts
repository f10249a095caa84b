import * as tf from '@tensorflow/tfjs-core';
import { VqGan } from '../model/vqgan';
import { Adam, clipByGlobalNorm } from './adam';
import type { CheckpointState } from './checkpoint';
import type { RunConfig } from './config';
import { Contribution, type Pass, rowsOf } from './contribution';
import type { StoredTensor } from './safetensors';
import { learningRateAt } from './schedule';

/** What the update of a step did, the same on every rank. */
export interface UpdateResult {
  readonly gradientNorm: number;
  readonly learningRate: number;
}

/** Everything that learns in a run, with its optimisers. Ranks that are given the same sums stay bit-identical. */
export class Learner {
  readonly model: VqGan;
  private readonly adam: Adam;

  /** @param steps optimiser steps of the whole run */
  constructor(
    private readonly config: RunConfig,
    private readonly steps: number,
  ) {
    this.model = new VqGan(config.model, config.seed);
    this.adam = new Adam(this.model.weights, config);
  }

  /** The sum that the passes of a step are added to. */
  nothing(): Contribution {
    return new Contribution(this.model.weights, this.model.quantiser.noStatistics());
  }

  /**
   * Adds one pass over some patches [n, d, h, w, 1] of the global batch, weighted by their number: over all passes of
   * all ranks the sums are those of the whole batch.
   * @param step optimiser steps done before this one
   */
  async contribute(sum: Contribution, x: tf.Tensor5D, pass: Pass, step: number): Promise<void> {
    const weight = pass.patches.length / pass.total;
    const { losses, gradients, latents, codes } = this.model.lossAndGradients(x, weight);
    const rows = { ...rowsOf(pass, this.config), step };
    const statistics = this.model.quantiser.statistics(latents, codes, rows);
    sum.add([losses.total, losses.reconstruction, losses.commitment], gradients, statistics);
    tf.dispose([gradients, latents, codes]);
  }

  /** Clips and applies the gradients and the quantiser's statistics of the whole global batch. */
  update(sum: Contribution, step: number): UpdateResult {
    const gradientNorm = clipByGlobalNorm(sum.gradients.values(), this.config.clip);
    const learningRate = learningRateAt(this.config, step, this.steps);
    this.adam.step(sum.gradients, learningRate);
    this.model.quantiser.apply(sum.statistics);
    return { gradientNorm, learningRate };
  }

  /** What a checkpoint keeps of it. Copies. */
  state(): {
    model: Map<string, StoredTensor>;
    optimiser: Map<string, StoredTensor>;
    counters: Pick<CheckpointState, 'adamSteps'>;
  } {
    return {
      model: this.model.state(),
      optimiser: this.adam.state(),
      counters: { adamSteps: this.adam.steps },
    };
  }

  /** Goes on from a checkpoint. */
  load(checkpoint: {
    readonly model: ReadonlyMap<string, StoredTensor>;
    readonly optimiser: ReadonlyMap<string, StoredTensor>;
    readonly state: Pick<CheckpointState, 'adamSteps'>;
  }): void {
    this.model.load(checkpoint.model);
    this.adam.load(checkpoint.optimiser, checkpoint.state.adamSteps);
  }

  dispose(): void {
    this.model.dispose();
  }
}
