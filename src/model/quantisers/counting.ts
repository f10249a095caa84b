import type * as tf from '@tensorflow/tfjs-core';
import type { StoredTensor } from '../../safetensors';
import { countCodes, type GlobalBatch, type QuantiserStatistics } from './quantiser';

/** Shared by quantisers whose codes are fixed or learnt by gradients: their statistics are counts only. */
export abstract class CountingQuantiser {
  readonly codebooks = 1;

  constructor(readonly size: number) {}

  get initialised(): boolean {
    return true;
  }

  async prepare(_batch: GlobalBatch): Promise<void> {}

  statistics(_latents: tf.Tensor2D, codes: tf.Tensor1D): QuantiserStatistics {
    return { counts: countCodes(codes.dataSync<'int32'>(), this.size) };
  }

  noStatistics(): QuantiserStatistics {
    return { counts: new Float32Array(this.size) };
  }

  apply(_statistics: QuantiserStatistics): undefined {}

  state(): Map<string, StoredTensor> {
    return new Map();
  }

  load(_state: ReadonlyMap<string, StoredTensor>): void {}

  dispose(): void {}
}
