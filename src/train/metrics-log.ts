import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  truncateSync,
} from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { UnreadableFile } from '../errors';
import type { StepSeconds } from './step';
import { changed } from './watch';

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

/** The writer of `metrics.jsonl`; rank 0 holds the only one. Records that are already there are not written twice. */
export class MetricsLog {
  private readonly lastStep = { train: -1, validation: -1 };
  private bytes = 0;
  /** What the log held when it was opened. */
  readonly earlier: readonly MetricRecord[] = [];

  /** Opens or creates the log; what a dead writer left of a torn last line is cut off. */
  constructor(readonly path: string) {
    if (!existsSync(path)) return;
    const bytes = readFileSync(path);
    this.bytes = bytes.lastIndexOf(newline) + 1;
    truncateSync(path, this.bytes);
    this.earlier = parseLines(bytes, path);
    for (const record of this.earlier) this.remember(record);
  }

  /**
   * Appends one line. A run that restarted from a checkpoint repeats the steps after it to the bit, so a record of
   * a step that the log has seen is dropped: none is lost and none doubled. Says whether it was written.
   */
  append(record: MetricRecord): boolean {
    if (record.step <= this.lastStep[record.split]) return false;
    const line = `${JSON.stringify(record)}\n`;
    try {
      appendFileSync(this.path, line);
    } catch (error) {
      // Half a line on a full disk.
      if (existsSync(this.path)) truncateSync(this.path, this.bytes);
      throw error;
    }
    this.bytes += Buffer.byteLength(line);
    this.remember(record);
    return true;
  }

  /** Waits until all records are on the disk; returns their bytes. */
  sync(): number {
    if (this.bytes === 0) return 0;
    const file = openSync(this.path, 'r');
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    return this.bytes;
  }

  private remember(record: MetricRecord): void {
    this.lastStep[record.split] = Math.max(this.lastStep[record.split], record.step);
  }
}

/** Bytes of a log without a torn last line. */
export function wholeBytes(path: string): number {
  return readFileSync(path).lastIndexOf(newline) + 1;
}

/** All records so far; a torn last line is ignored. No file yet means no records. */
export async function readMetrics(path: string): Promise<MetricRecord[]> {
  if (!existsSync(path)) return [];
  return parseLines(await readFile(path), path);
}

/**
 * Every record from the first, then new ones as they are written, until `ended` says that nothing more will come.
 * @throws the signal's reason when it is aborted.
 */
export async function* followMetrics(
  path: string,
  options: { ended: () => Promise<boolean>; signal?: AbortSignal },
): AsyncGenerator<MetricRecord, void, undefined> {
  let offset = 0;
  let line = 0;
  for (;;) {
    options.signal?.throwIfAborted();
    // Asked before reading: what was written before the end is then read for sure.
    const ended = await options.ended();
    const bytes = await readFrom(path, offset);
    const whole = bytes.lastIndexOf(newline) + 1;
    for (const record of parseLines(bytes.subarray(0, whole), path, line)) {
      line++;
      yield record;
    }
    offset += whole;
    if (ended) return;
    await changed(path, 250, options.signal);
  }
}

const newline = 0x0a;

function parseLines(bytes: Buffer, path: string, linesBefore = 0): MetricRecord[] {
  const whole = bytes.subarray(0, bytes.lastIndexOf(newline) + 1).toString('utf8');
  return whole
    .split('\n')
    .slice(0, -1)
    .map((text, i) => {
      try {
        return JSON.parse(text) as MetricRecord;
      } catch (cause) {
        throw new UnreadableFile(
          path,
          'one JSON record a line',
          `line ${linesBefore + i + 1}: ${text.slice(0, 80)}`,
          {
            cause,
          },
        );
      }
    });
}

async function readFrom(path: string, offset: number): Promise<Buffer> {
  if (!existsSync(path)) return Buffer.alloc(0);
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const bytes = Buffer.alloc(Math.max(0, size - offset));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, offset);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
