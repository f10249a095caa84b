/** The convolution kernels of the wasm backend: walks of `walk.ts`, executed by the SIMD module on tfjs's memory. */
import type * as tf from '@tensorflow/tfjs-core';
import type { Kernels } from '../contract/backend';
import { type Convolution, inputShape, outputShape, weightShape } from '../contract/geometry';
import type { Scratch, SharedWasm } from './module';
import { type AxisWalk, axisWalk, type Direction, type RowWalk, rowWalk } from './walk';

type Convolutions = Pick<
  Kernels,
  'convolve' | 'convolveInputGradient' | 'convolveWeightGradient' | 'channelSums'
>;

const FLOAT = 4;
/** Read beyond a row by whole vectors, so scratch tensors end this much later. */
const SLACK = 64;

export function simdConvolutions(wasm: SharedWasm): Convolutions {
  return {
    convolve: (x, w, bias, c) => execute(wasm, x, w, bias, c, 'forward'),
    convolveInputGradient: (dy, w, c) => execute(wasm, dy, w, undefined, c, 'backward'),
    convolveWeightGradient: (x, dy, c) => weightGradient(wasm, x, dy, c),
    channelSums(dy) {
      const channels = dy.shape.at(-1)!;
      const sums = wasm.output([channels]);
      const count = dy.shape.slice(0, -1).reduce((product, size) => product * size, 1);
      wasm.module.channelSums(wasm.address(dy), wasm.address(sums), count, channels);
      return sums;
    },
  };
}

function execute(
  wasm: SharedWasm,
  from: tf.TensorInfo,
  w: tf.TensorInfo,
  bias: tf.TensorInfo | undefined,
  c: Convolution,
  direction: Direction,
): tf.TensorInfo {
  const forward = direction === 'forward';
  const walks = [axisWalk(c, 0, direction), axisWalk(c, 1, direction)] as const;
  const rows = rowWalk(c, direction);
  const [source, target] = forward ? [c.input, c.output] : [c.output, c.input];
  const [channelsIn, channels] = forward ? [c.inChannels, c.outChannels] : [c.outChannels, c.inChannels];
  const lanes = lanesFor(channels);
  const blocks = Math.ceil(channels / lanes);
  const run = Math.max(...rows.classes.map((k) => k.taps.length)) * channelsIn;
  const y = wasm.output(forward ? outputShape(c) : inputShape(c));
  return wasm.withScratch((scratch) => {
    const x = padded(wasm, scratch, from, rows.before, rows.after, forward && c.border === 'replicate');
    const packed = packWeights(wasm, scratch, w, c, walks, rows, direction, lanes, run);
    const offsets = scratch.floats(blocks * lanes);
    if (bias) wasm.floats(offsets, channels).set(wasm.floats(wasm.address(bias), channels));
    if (!forward) wasm.floats(wasm.address(y), tensorSize(y)).fill(0);
    const walk = scratch.integers(
      numbersOf({
        samples: c.n,
        depth: walks[0].positions,
        height: walks[1].positions,
        inputDepth: source[0],
        inputHeight: source[1],
        inputRow: (source[2] + x.added) * channelsIn * FLOAT,
        outputDepth: target[0],
        outputHeight: target[1],
        outputRow: target[2] * channels * FLOAT,
        slotsD: walks[0].slots,
        slotsH: walks[1].slots,
        classesH: walks[1].taps.length,
        classesW: rows.classes.length,
        channels,
        lanes,
        slot: run * lanes * FLOAT,
        inputStep: rows.inputStep * channelsIn * FLOAT,
        outputStep: rows.outputStep * channels * FLOAT,
        fold: forward ? 0 : c.border === 'replicate' ? 1 : 2,
        foldBefore: c.before[2],
        foldWidth: c.input[2],
        foldPadded: rows.lattice,
        classes: rows.classes.flatMap((k) => [
          k.outputs,
          k.taps.length * channelsIn,
          k.firstInput * channelsIn * FLOAT,
          k.firstOutput * channels * FLOAT,
        ]),
      }),
    );
    const [tableD, tableH] = [scratch.integers(walks[0].table), scratch.integers(walks[1].table)];
    const row = scratch.floats(rows.lattice * channels);
    const pairs = scratch.floats(2 * walks[0].slots * walks[1].slots);
    wasm.module.convolve(walk, tableD, tableH, x.address, packed, offsets, wasm.address(y), row, pairs);
    return y;
  });
}

/** The values in the order they are written in, which is the one that `simd/convolve.ts` and `correlate.ts` read. */
function numbersOf(fields: Readonly<Record<string, number | readonly number[]>>): number[] {
  return Object.values(fields).flat();
}

/** Packs w as [classD, classH, classW, block, slotD, slotH, run, lanes], lanes beyond the channels zero. */
function packWeights(
  wasm: SharedWasm,
  scratch: Scratch,
  w: tf.TensorInfo,
  c: Convolution,
  [depth, height]: readonly [AxisWalk, AxisWalk],
  rows: RowWalk,
  direction: Direction,
  lanes: number,
  run: number,
): number {
  const [ci, co] = [c.inChannels, c.outChannels];
  const [channelsIn, channels] = direction === 'forward' ? [ci, co] : [co, ci];
  const [stepIn, stepOut] = direction === 'forward' ? [co, 1] : [1, co];
  const blocks = Math.ceil(channels / lanes);
  const slotSize = run * lanes;
  const classes = depth.taps.length * height.taps.length * rows.classes.length;
  const size = classes * blocks * depth.slots * height.slots * slotSize;
  const address = scratch.floats(size);
  const packed = wasm.floats(address, size);
  const from = wasm.floats(wasm.address(w), tensorSize(w));
  let slot = 0;
  for (const tapsD of depth.taps) {
    for (const tapsH of height.taps) {
      for (const { taps } of rows.classes) {
        for (let first = 0; first < channels; first += lanes) {
          const valid = Math.min(lanes, channels - first);
          for (const tapD of tapsD) {
            for (const tapH of tapsH) {
              let at = slot;
              slot += slotSize;
              if (tapD < 0 || tapH < 0) continue;
              for (const tapW of taps) {
                const tap = ((tapD * c.kernel[1] + tapH) * c.kernel[2] + tapW) * ci * co + first * stepOut;
                for (let i = 0; i < channelsIn; i++, at += lanes) {
                  const start = tap + i * stepIn;
                  for (let o = 0; o < valid; o++) packed[at + o] = from[start + o * stepOut]!;
                }
              }
            }
          }
        }
      }
    }
  }
  return address;
}

/**
 * Sums over voxels of the gathered input times the other. For the plain convolution dy stays and x is gathered; for
 * the transposed one x, padded, stays and dy is gathered, so the sums come with their channels exchanged.
 */
function weightGradient(
  wasm: SharedWasm,
  x: tf.TensorInfo,
  dy: tf.TensorInfo,
  c: Convolution,
): tf.TensorInfo {
  const direction = c.transposed ? 'backward' : 'forward';
  const walks = [axisWalk(c, 0, direction), axisWalk(c, 1, direction)] as const;
  const rows = rowWalk(c, direction);
  const [gathered, still] = c.transposed ? [dy, x] : [x, dy];
  const [channelsA, channelsB] = [gathered.shape[4]!, still.shape[4]!];
  const lanes = lanesFor(channelsB);
  const tile = lanes === 8 ? 4 : 8;
  const run = Math.ceil((c.kernel[2] * channelsA) / tile) * tile;
  const width = Math.ceil(channelsB / lanes) * lanes;
  const dw = wasm.output(weightShape(c));
  return wasm.withScratch((scratch) => {
    const whole = channelsB === width;
    const replicated = !c.transposed && c.border === 'replicate';
    const a = padded(wasm, scratch, gathered, rows.before, rows.after, replicated, true);
    const border: [number, number] = c.transposed ? [c.before[2], c.after[2]] : [0, 0];
    const b = padded(wasm, scratch, still, ...border, true, !whole);
    const walk = scratch.integers(
      numbersOf({
        samples: c.n,
        depth: walks[0].positions,
        height: walks[1].positions,
        aDepth: gathered.shape[1]!,
        aHeight: gathered.shape[2]!,
        aRow: (gathered.shape[3]! + a.added) * channelsA * FLOAT,
        bRow: (still.shape[3]! + b.added) * channelsB * FLOAT,
        slotsD: walks[0].slots,
        slotsH: walks[1].slots,
        bWidth: rows.lattice,
        aStep: rows.inputStep * channelsA * FLOAT,
        bStep: channelsB * FLOAT,
        run,
        channels: width,
        lanes,
        bDepth: still.shape[1]!,
        bHeight: still.shape[2]!,
      }),
    );
    const [tableD, tableH] = [scratch.integers(walks[0].table), scratch.integers(walks[1].table)];
    const size = walks[0].slots * walks[1].slots * run * width;
    const sums = scratch.floats(size);
    wasm.module.correlate(walk, tableD, tableH, a.address, b.address, sums);
    unpackSums(wasm, sums, dw, c, run, width, lanes);
    return dw;
  });
}

/** dw [kd, kh, kw, in, out] from sums [kd, kh, run, channels], or [kd, kh, channels, run] where lanes are 1. */
function unpackSums(
  wasm: SharedWasm,
  sums: number,
  dw: tf.TensorInfo,
  c: Convolution,
  run: number,
  width: number,
  lanes: number,
): void {
  const [ci, co, kw] = [c.inChannels, c.outChannels, c.kernel[2]];
  const [channelsA, channelsB] = c.transposed ? [co, ci] : [ci, co];
  const [stepA, stepB] = c.transposed ? [1, co] : [co, 1];
  const [stepRun, stepChannel] = lanes === 1 ? [1, run] : [width, 1];
  const from = wasm.floats(sums, c.kernel[0] * c.kernel[1] * run * width);
  const to = wasm.floats(wasm.address(dw), tensorSize(dw));
  for (let line = 0; line < c.kernel[0] * c.kernel[1]; line++) {
    for (let tap = 0; tap < kw; tap++) {
      for (let a = 0; a < channelsA; a++) {
        const source = line * run * width + (tap * channelsA + a) * stepRun;
        const target = (line * kw + tap) * ci * co + a * stepA;
        for (let b = 0; b < channelsB; b++) to[target + b * stepB] = from[source + b * stepChannel]!;
      }
    }
  }
}

/** The rows of a tensor with a border, in scratch; the tensor itself where there is nothing to add. */
function padded(
  wasm: SharedWasm,
  scratch: Scratch,
  tensor: tf.TensorInfo,
  before: number,
  after: number,
  replicate: boolean,
  copy = false,
): { address: number; added: number } {
  const added = before + after;
  if (added === 0 && !copy) return { address: wasm.address(tensor), added };
  const [n, depth, height, width, channels] = tensor.shape as [number, number, number, number, number];
  const rows = n * depth * height;
  const address = scratch.floats(rows * (width + added) * channels + SLACK, false);
  const from = wasm.address(tensor);
  wasm.module.padRows(from, address, rows, width, channels * FLOAT, before, after, replicate ? 1 : 0);
  return { address, added };
}

/** Channels computed together: a vector or two, or one channel by vectors along its inputs. */
function lanesFor(channels: number): 1 | 4 | 8 {
  if (channels < 4) return 1;
  return channels % 8 !== 0 && channels % 4 === 0 ? 4 : 8;
}

function tensorSize(tensor: tf.TensorInfo): number {
  return tensor.shape.reduce((product, size) => product * size, 1);
}
