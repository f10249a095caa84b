import type { StepSeconds } from '../learn/step';

/** One line of `metrics.jsonl`. Losses are means over the global batch, or over the validation voxels. */
export interface MetricRecord {
  /** Optimiser steps done when this was measured. */
  readonly step: number;
  readonly epoch: number;
  /** ISO time of writing. */
  readonly time: string;
  readonly split: 'train' | 'validation';
  readonly loss?: number;
  readonly reconstruction?: number;
  readonly commitment?: number;
  /** LPIPS of a random slice of every patch. */
  readonly perceptual?: number;
  /** Of the generator: what the discriminators say of its patches, weighted among themselves. */
  readonly adversarial?: number;
  /** Distance of patch and reconstruction inside the discriminators. */
  readonly features?: number;
  /** What the discriminators minimise. */
  readonly discriminator?: number;
  /** Mean logits: as long as they differ, the discriminators tell real and reconstructed apart. */
  readonly logitsReal?: number;
  readonly logitsFake?: number;
  /** What the adversarial loss was multiplied by: ramp and adaptive weight. */
  readonly adversarialScale?: number;
  /** Norm of the discriminators' averaged gradient before clipping. */
  readonly discriminatorNorm?: number;
  /** dB, data range 2 (the model's [-1, 1]). */
  readonly psnr?: number;
  readonly mae?: number;
  readonly ssim?: number;
  /** exp(entropy) of the code frequencies. */
  readonly perplexity?: number;
  /** Distinct codes used / codebook size. */
  readonly usage?: number;
  /** Codes that hardly any latent chose and that this step restarted; where the quantiser's codes can die. */
  readonly restartedCodes?: number;
  readonly learningRate?: number;
  /** Norm of the averaged gradient before clipping. */
  readonly gradientNorm?: number;
  /** Over all ranks. */
  readonly patchesPerSecond?: number;
  /** The same in whole training volumes. */
  readonly volumesPerSecond?: number;
  /** Where the time of a step went, on rank 0: all of it, and its parts. */
  readonly seconds?: StepSeconds & { readonly step: number };
  /** Time every rank spent on data, forward and backward of this step: where it differs, work is not balanced. */
  readonly secondsByRank?: readonly number[];
  /** Cores that each rank kept busy, and MiB of the host's memory that it has. */
  readonly cpuByRank?: readonly number[];
  readonly memoryByRank?: readonly number[];
  /** Percent of the time that each rank's GPU computed, and MiB of its memory in use, by nvidia-smi. */
  readonly gpuByRank?: readonly number[];
  readonly gpuMemoryByRank?: readonly number[];
  /** Patches that were measured, each counted once. */
  readonly patches?: number;
}

/** What a record says of the machine and the moment, not of the training. */
const clockFields = [
  ...(['time', 'patchesPerSecond', 'volumesPerSecond', 'seconds', 'secondsByRank', 'cpuByRank'] as const),
  ...(['memoryByRank', 'gpuByRank', 'gpuMemoryByRank'] as const),
];

/** What a record says of the training alone: the same in two runs of one seed, whatever the machine was doing. */
export function withoutClock(record: MetricRecord): Omit<MetricRecord, (typeof clockFields)[number]> {
  const rest: Partial<Record<keyof MetricRecord, unknown>> = { ...record };
  for (const field of clockFields) delete rest[field];
  return rest as Omit<MetricRecord, (typeof clockFields)[number]>;
}

/** The record of a line; undefined where the line is damaged. */
export function parseRecord(line: string): MetricRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { step, split } = (value ?? {}) as Partial<MetricRecord>;
  const isRecord = Number.isInteger(step) && (split === 'train' || split === 'validation');
  return isRecord ? (value as MetricRecord) : undefined;
}
