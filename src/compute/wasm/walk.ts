/**
 * How a convolution is walked row by row: which input rows and taps meet at each position of an output lattice.
 * Pure numbers; `simd/convolve.ts` and `simd/correlate.ts` execute them. Forward and input gradient, plain and
 * transposed, come down to two forms along an axis, each with one of two borders:
 *
 * - gathered: out[j] = sum over taps t of in[j * stride + t] * w[t]
 * - spread:   out[j * stride + r] = sum over m of in[j - m] * w[r + stride * m], a class of taps for each r < stride
 *
 * The border is the convolution's where the input is x, and zero where it is a gradient; then the lattice is the padded
 * x, whose border is summed into the voxels it repeats, or dropped where it is zeros.
 */
import { type Convolution, insideOf } from '../contract/geometry';

/** The walk along d or h. */
interface AxisWalk {
  readonly slots: number;
  /** The tap of every slot of every class, or -1. */
  readonly taps: readonly (readonly number[])[];
  /** For each position: target row, class, then the input row of each slot or -1. */
  readonly table: Int32Array;
  readonly positions: number;
}

/** The walk along w, where a row of the input is in memory with its border. */
interface RowWalk {
  readonly classes: readonly RowClass[];
  /** Voxels added to an input row. */
  readonly before: number;
  readonly after: number;
  readonly inputStep: number;
  readonly outputStep: number;
  /** Voxels of a row of the lattice. */
  readonly lattice: number;
}

interface RowClass {
  /** In the order of the voxels they meet. */
  readonly taps: readonly number[];
  readonly outputs: number;
  readonly firstInput: number;
  readonly firstOutput: number;
}

interface Axis {
  readonly input: number;
  readonly output: number;
  readonly padded: number;
  readonly kernel: number;
  readonly stride: number;
  readonly before: number;
  /** The voxel of x that a padded position holds, or -1. */
  readonly inside: (padded: number) => number;
}

export type Direction = 'forward' | 'backward';

export function axisWalk(c: Convolution, axis: 0 | 1, direction: Direction): AxisWalk {
  const a = axisOf(c, axis);
  const gathered = c.transposed === (direction === 'backward');
  const taps = gathered ? [range(a.kernel)] : range(a.stride).map((r) => spreadTaps(a, r));
  const slots = taps[0]!.length;
  const forward = direction === 'forward';
  // The gradient of a zero border is not needed.
  const lattice = range(forward ? a.output : a.padded).filter((at) => forward || a.inside(at) >= 0);
  const positions = lattice.length;
  const shift = c.transposed === forward && c.transposed ? a.kernel - 1 : 0;
  const table = new Int32Array(positions * (2 + slots));
  for (const [line, position] of lattice.entries()) {
    const q = position + shift;
    const class_ = gathered ? 0 : q % a.stride;
    const row = table.subarray(line * (2 + slots));
    row[0] = forward ? position : a.inside(position);
    row[1] = class_;
    for (let slot = 0; slot < slots; slot++) {
      const at = gathered
        ? position * a.stride + slot - (forward ? 0 : a.kernel - 1)
        : Math.floor(q / a.stride) - slot;
      const exists = (taps[class_]![slot] ?? -1) >= 0 && at >= 0 && at < (forward ? a.padded : a.output);
      row[2 + slot] = exists ? (forward ? a.inside(at) : at) : -1;
    }
  }
  return { slots, taps, table, positions };
}

export function rowWalk(c: Convolution, direction: Direction): RowWalk {
  const a = axisOf(c, 2);
  const gathered = c.transposed === (direction === 'backward');
  const forward = direction === 'forward';
  const lattice = forward ? a.output : a.padded;
  if (gathered) {
    const before = forward ? a.before : a.kernel - 1;
    const input = forward ? a.input : a.output;
    const reach = (lattice - 1) * a.stride + a.kernel;
    const classes = [{ taps: range(a.kernel), outputs: lattice, firstInput: 0, firstOutput: 0 }];
    const after = Math.max(reach - before - input, 0);
    return { classes, before, after, inputStep: a.stride, outputStep: 1, lattice };
  }
  const before = forward ? a.before : Math.ceil(a.kernel / a.stride) - 1;
  const shift = forward ? a.kernel - 1 : 0;
  const classes = range(a.stride).map((r) => {
    const taps = spreadTaps(a, r)
      .filter((tap) => tap >= 0)
      .reverse();
    const first = Math.ceil((shift - r) / a.stride);
    const outputs = Math.max(Math.ceil((lattice + shift - r) / a.stride) - first, 0);
    // The input's voxel 0 lies at `before` in its row where the lattice is padded, and at 0 of the padded row else.
    const firstInput = first - taps.length + 1 + (forward ? 0 : before);
    return { taps, outputs, firstInput, firstOutput: first * a.stride + r - shift };
  });
  const reach = Math.max(...classes.map((k) => k.firstInput + k.outputs - 1 + k.taps.length));
  const after = Math.max(reach - before - (forward ? a.input : a.output), 0);
  return { classes, before, after, inputStep: 1, outputStep: a.stride, lattice };
}

function axisOf(c: Convolution, axis: 0 | 1 | 2): Axis {
  const [input, output, kernel] = [c.input[axis], c.output[axis], c.kernel[axis]];
  const [stride, before, after] = [c.stride[axis], c.before[axis], c.after[axis]];
  const inside = (padded: number) => insideOf(c, axis, padded);
  return { input, output, padded: before + input + after, kernel, stride, before, inside };
}

/** Taps r, r + stride, ... of a spread class, with -1 where it has one less than the largest class. */
function spreadTaps(a: Axis, r: number): number[] {
  return range(Math.ceil(a.kernel / a.stride)).map((m) => {
    const tap = r + a.stride * m;
    return tap < a.kernel ? tap : -1;
  });
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
