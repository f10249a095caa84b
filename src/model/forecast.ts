import { checkPatch, type ModelConfig, stages, topChannels } from './config';
import { decoderStages } from './decoder';
import { parameterCount } from './vqgan';

const FLOAT32 = 4;

/** Tensors a ResBlock keeps: the inputs of its two norms. What they make is computed anew. */
const KEPT_PER_RESBLOCK = 2;

/**
 * Bytes of the activations kept for the backward pass of one patch [x, y, z] in float32: the input of every
 * norm, and of every convolution without one before it, once. A forecast from the layers' shapes alone; what a backend needs beside it
 * (padded copies, the gradients on their way back) comes on top.
 */
export function activationBytes(config: ModelConfig, patch: readonly [number, number, number]): number {
  checkPatch(config, patch);
  const voxels = patch[0] * patch[1] * patch[2];
  const latents = voxels / (config.downsample[0] * config.downsample[1] * config.downsample[2]);
  let size = voxels;
  let kept = size; // the patch itself
  for (const { above, below, stride } of stages(config)) {
    kept += size * above; // input of the downsampling convolution
    size /= product(stride);
    kept += size * below * KEPT_PER_RESBLOCK * config.encoderBlocks;
  }
  kept += latents * 2 * topChannels(config); // inputs of the final norm and of pre_vq_conv
  kept += latents * 2 * config.codeDim; // latents and their codes' embeddings
  kept += latents * topChannels(config); // input of the decoder's norm
  for (const { inputs, outputs, stride } of decoderStages(config)) {
    kept += size * inputs; // input of the upsampling convolution
    size *= product(stride);
    kept += size * outputs * KEPT_PER_RESBLOCK * config.decoderBlocks;
  }
  kept += size * (decoderStages(config).at(-1)!.outputs + 1); // input of conv_last, and the reconstruction
  return kept * FLOAT32;
}

/** Bytes that one rank needs for a training step in float32. */
export interface MemoryForecast {
  /** Kept for the backward pass; see `activationBytes`. */
  readonly activations: number;
  readonly weights: number;
  readonly gradients: number;
  /** Adam's two moving averages. */
  readonly optimiser: number;
  /** Codes, with the moving averages of their counts and sums. */
  readonly codebook: number;
  readonly total: number;
}

/** Forecasts a step on `batch` patches [x, y, z]. Throws InvalidArgument for a patch that the model cannot take. */
export function forecastMemory(
  config: ModelConfig,
  patch: readonly [number, number, number],
  batch = 1,
): MemoryForecast {
  const activations = batch * activationBytes(config, patch);
  const weights = parameterCount(config) * FLOAT32;
  const codebook = config.codes * (2 * config.codeDim + 1) * FLOAT32;
  const total = activations + 4 * weights + codebook;
  return { activations, weights, gradients: weights, optimiser: 2 * weights, codebook, total };
}

function product(stride: readonly [number, number, number]): number {
  return stride[0] * stride[1] * stride[2];
}
