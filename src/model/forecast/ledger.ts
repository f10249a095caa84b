/** Bytes that are in use at a moment, and the most there ever were: memory on paper. */
export class Ledger {
  live = 0;
  peak = 0;

  take(bytes: number): void {
    this.live += bytes;
    this.peak = Math.max(this.peak, this.live);
  }

  give(bytes: number): void {
    this.live -= bytes;
  }

  /** What is taken for a moment, beside all that is live, and given back. */
  during(bytes: number): void {
    this.peak = Math.max(this.peak, this.live + bytes);
  }
}

/** A batch of activations, by its shape. */
export interface Activation {
  readonly n: number;
  /** [d, h, w] */
  readonly size: readonly [number, number, number];
  readonly channels: number;
  /** Bytes of a number: 2 where it is stored as bfloat16. */
  readonly width: number;
}

/** Voxels that a convolution adds, before and behind together, on [d, h, w]. */
export type Added = readonly [number, number, number];

export function bytesOf({ n, size, channels, width }: Activation, added: Added = [0, 0, 0]): number {
  return size.reduce((product, length, axis) => product * (length + added[axis]!), n * channels * width);
}

/** Bytes in floats of the part of an activation that ATen computes at a time; see `partsOf` in `native/norm/norm.cc`. */
export function partBytes(x: Activation): number {
  const numbers = bytesOf({ ...x, width: 1 });
  return 4 * Math.min(numbers, Math.max(2 ** 16, Math.min(numbers / 8, 2 ** 26)));
}

/** What a backend takes beside a tensor itself, in copies of it that live no longer than one kernel. */
export interface Habits {
  /** Whether norms write, and input gradients leave, the border of the next convolution along with the volume. */
  readonly keepsBorders: boolean;
  /** Whether a border is added along w alone: rows are walked one by one. */
  readonly padsRows: boolean;
  /** Whether convolutions of wide channels keep a copy of their weights in a library's order. */
  readonly reorders: boolean;
  /** Copies of a bordered input while it is made. */
  readonly padding: number;
  /** Whether convolutions compute in what is stored; else half is copied to floats and back. */
  readonly asStored: boolean;
  /** Copies of a part in floats while a norm or its gradient is computed; with bf16 one more. */
  readonly norm: number;
  readonly normGradient: number;
  /** Copies of a strided convolution's bordered input while its input gradient is computed. */
  readonly inputGradient: number;
}

const libtorch: Habits = {
  keepsBorders: true,
  padsRows: false,
  reorders: false,
  padding: 1,
  asStored: false,
  norm: 0,
  normGradient: 0,
  inputGradient: 1,
};

/** Backends' own code, read and measured; `gpu` is libtorch's with ATen's kernels, measured on a processor. */
export const habits: Readonly<Record<'libtorch' | 'gpu' | 'wasm', Habits>> = {
  libtorch,
  gpu: { ...libtorch, reorders: true, asStored: true, norm: 1, normGradient: 2, inputGradient: 0 },
  wasm: { ...libtorch, keepsBorders: false, padsRows: true, inputGradient: 0 },
};
