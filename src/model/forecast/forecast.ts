import type { Precision } from '../../compute/contract/backend';
import type { Size } from '../../vec3';
import { checkPatch, type ModelConfig } from '../config';
import { type GanConfig, hasDiscriminators } from '../discriminators/config';
import type { Checkpointing } from '../tensor-layers';
import { parameterCount } from '../weight-shapes';
import { discriminatorBytes, discriminatorPass } from './discriminators';
import { GeneratorPass } from './generator';
import { generatorLayers } from './layers';
import { type Activation, bytesOf, habits, Ledger } from './ledger';

const FLOAT32 = 4;

/** What computes, where it makes a difference to memory. */
export const forecastDevices = ['libtorch', 'gpu', 'wasm'] as const;
export type ForecastDevice = (typeof forecastDevices)[number];

export interface ForecastOptions {
  /** Patches of one pass; 1 by default. What is accumulated over passes takes no more. */
  readonly batch?: number;
  /** `none` by default. */
  readonly checkpointing?: Checkpointing;
  /** `float32` by default. */
  readonly precision?: Precision;
  /** Discriminators, where the step has them. */
  readonly gan?: GanConfig;
  /** `libtorch` (its CPU code) by default. */
  readonly device?: ForecastDevice;
}

/** Bytes that one rank needs for a training step, each at its own most but for `total`. */
export interface MemoryForecast {
  /**
   * Kept for the backward pass: the input of every norm, and of every convolution without one before it; with the
   * borders that a backend keeps along, and its copies of weights.
   */
  readonly activations: number;
  /** What losses, discriminators and the backward pass take beside all that is kept, at the worst moment. */
  readonly backward: number;
  readonly weights: number;
  readonly gradients: number;
  /** Adam's two moving averages. */
  readonly optimiser: number;
  /** Weights of the discriminators with their gradients and moving averages; 0 without them. */
  readonly discriminators: number;
  /** Codes, with the moving averages of their counts and sums. */
  readonly codebook: number;
  /** The most there is at any moment of a step. */
  readonly total: number;
}

/**
 * Host memory that a rank's process takes beside the tensors of this forecast: Node and the backend's code, what a first
 * step compiles, and the gaps between tensors. Measured as the largest resident memory of ranks, 3 steps each; on a GPU
 * the tensors are not in this memory, so the gaps are none of it.
 */
export function processBytes({ total }: Pick<MemoryForecast, 'total'>, device: ForecastDevice): number {
  const { idle, gaps } = PROCESS[device];
  return idle + gaps * total;
}

const MiB = 2 ** 20;

const PROCESS: Readonly<Record<ForecastDevice, { readonly idle: number; readonly gaps: number }>> = {
  libtorch: { idle: 280 * MiB, gaps: 0.18 },
  gpu: { idle: 280 * MiB, gaps: 0 },
  wasm: { idle: 130 * MiB, gaps: 0.18 },
};

/**
 * Bytes that one patch [x, y, z] takes on its way through a trained model, with the model: what encoder and decoder make
 * stays until each of them is done. Throws InvalidArgument for a patch that the model cannot take.
 */
export function forecastReconstruction(
  config: ModelConfig,
  size: Size,
  { precision = 'float32', device = 'libtorch' }: Pick<ForecastOptions, 'precision' | 'device'> = {},
): number {
  const patch = checkPatch(config, size);
  const ledger = new Ledger();
  const layers = generatorLayers(config, patch, 1, precision);
  const codes = layers.findIndex(({ kind }) => kind === 'codes');
  ledger.take(bytesOf({ n: 1, size: [patch[2], patch[1], patch[0]], channels: 1, width: FLOAT32 }));
  for (const part of [layers.slice(0, codes + 1), layers.slice(codes + 1)]) {
    const before = ledger.live;
    const width = precision === 'bf16' ? 2 : FLOAT32;
    // Without a backward pass blocks keep nothing of their own.
    new GeneratorPass(ledger, part, { habits: habits[device], checkpointing: 'blocks', width }).forward();
    ledger.give(ledger.live - before);
  }
  const codebook = config.codes * config.codeDim * FLOAT32;
  return parameterCount(config) * FLOAT32 + codebook + ledger.peak;
}

/**
 * Forecasts a training step on patches [x, y, z], by going through it on paper: the layers' shapes, and the order in
 * which the passes take and free memory. What a process needs beside its tensors is `processBytes`; volumes that patches
 * are cut from, a CUDA context and cuDNN's workspace come on top.
 *
 * ```ts
 * const forecast = pw.forecastMemory(pw.presets.guide.model, [128, 128, 64], { batch: 1 });
 * console.log(forecast.total / 2 ** 30, 'GiB');
 * ```
 * @throws InvalidArgument for a patch that the model cannot take
 */
export function forecastMemory(
  config: ModelConfig,
  size: Size,
  options: ForecastOptions = {},
): MemoryForecast {
  const patch = checkPatch(config, size);
  const { batch = 1, checkpointing = 'none', precision = 'float32', gan, device = 'libtorch' } = options;
  const weights = parameterCount(config) * FLOAT32;
  const codebook = config.codes * (2 * config.codeDim + 1) * FLOAT32;
  const discriminators = gan && hasDiscriminators(gan) ? discriminatorBytes(gan) : 0;

  // Where the backend does not move weights itself, JavaScript has the sums of the gradients too.
  const sums = device === 'wasm' ? weights + discriminators : 0;
  const standing = 3 * weights + codebook + 3 * discriminators + sums;
  const ledger = new Ledger();
  const patches: Activation = { n: batch, size: [patch[2], patch[1], patch[0]], channels: 1, width: FLOAT32 };
  ledger.take(bytesOf(patches));
  const pass = new GeneratorPass(ledger, generatorLayers(config, patch, batch, precision), {
    habits: habits[device],
    checkpointing,
    width: precision === 'bf16' ? 2 : FLOAT32,
  });
  pass.forward();
  const activations = ledger.live;
  pass.loss(patches);
  if (gan && discriminators > 0) discriminatorPass(ledger, gan, patches, habits[device]);
  pass.backward();
  // The backend's Adam makes new tensors for each weight and its moments while all gradients are still there.
  const update = device === 'wasm' ? 0 : 2 * weights + discriminators;
  return {
    activations,
    backward: Math.max(0, ledger.peak - activations),
    weights,
    gradients: weights,
    optimiser: 2 * weights,
    discriminators: 4 * discriminators,
    codebook,
    total: standing + Math.max(ledger.peak, update),
  };
}
