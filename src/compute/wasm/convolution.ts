/** The convolution kernels of the wasm backend: walks of `walk.ts`, executed by the SIMD module on tfjs's memory. */
import * as tf from '@tensorflow/tfjs-core';
import type { Kernels } from '../contract/backend';
import { type Convolution, inputShape, outputShape, weightShape } from '../contract/geometry';
import { numbersOf, type Scratch, type SharedWasm } from './module';
import { axisWalk, type Direction, rowWalk } from './walk';

type Convolutions = Pick<Kernels, 'convolve' | 'convolveInputGradient' | 'convolveWeightGradient'>;

const FLOAT = 4;
/** Rows are read by whole vectors, beyond their end, so scratch tensors end this much later. */
const SLACK = 64;

export function simdConvolutions(wasm: SharedWasm): Convolutions {
  return {
    convolve: (x, w, bias, c) => convolve(wasm, x, w, bias, c, 'forward'),
    convolveInputGradient: (dy, w, c) => convolve(wasm, dy, w, undefined, c, 'backward'),
    convolveWeightGradient: (x, dy, c) => weightGradient(wasm, x, dy, c),
  };
}

type Walks = ReturnType<typeof walksOf>;

function walksOf(c: Convolution, direction: Direction) {
  return { d: axisWalk(c, 0, direction), h: axisWalk(c, 1, direction), w: rowWalk(c, direction) };
}

function convolve(
  wasm: SharedWasm,
  from: tf.TensorInfo,
  w: tf.TensorInfo,
  bias: tf.TensorInfo | undefined,
  c: Convolution,
  direction: Direction,
): tf.TensorInfo {
  const forward = direction === 'forward';
  const walks = walksOf(c, direction);
  const { classes, before, after, lattice } = walks.w;
  const to = wasm.output(forward ? outputShape(c) : inputShape(c));
  const [channelsIn, channels] = [from.shape[4]!, to.shape[4]!];
  const lanes = lanesFor(channels);
  const run = Math.max(...classes.map((k) => k.taps.length)) * channelsIn;
  return wasm.withScratch((scratch) => {
    const x = padded(wasm, scratch, from, before, after, forward && c.border === 'replicate');
    const weights = packWeights(wasm, scratch, w, c, walks, direction, lanes, run);
    const offsets = scratch.floats(Math.ceil(channels / lanes) * lanes);
    if (bias) wasm.floats(offsets, channels).set(wasm.floats(wasm.address(bias), channels));
    const y = rowsOf(to, wasm.address(to));
    if (!forward) wasm.floats(y.address, tf.util.sizeFromShape(to.shape)).fill(0);
    const walk = numbersOf({
      ...walkOf(scratch, c.n, walks, x, y),
      yStep: walks.w.outputStep * y.voxel,
      channels,
      lanes,
      weights,
      slot: run * lanes * FLOAT,
      run,
      bias: offsets,
      row: scratch.floats(lattice * channels),
      classesH: walks.h.taps.length,
      fold: forward ? 0 : c.border === 'replicate' ? 1 : 2,
      foldBefore: c.before[2],
      foldWidth: c.input[2],
      classes: classes.length,
    });
    for (const { outputs, taps, firstInput, firstOutput } of classes)
      walk.push(outputs, taps.length * channelsIn, firstInput * x.voxel, firstOutput * y.voxel);
    wasm.module.convolve(scratch.integers(walk));
    return to;
  });
}

/** What every walk begins with: fields of `Walk` in `simd/walk.ts`, in its order. */
function walkOf(scratch: Scratch, samples: number, { d, h, w }: Walks, x: Rows, y: Rows) {
  return {
    samples,
    depth: d.positions,
    height: h.positions,
    slotsD: d.slots,
    slotsH: h.slots,
    tableD: scratch.integers(d.table),
    tableH: scratch.integers(h.table),
    pairs: scratch.floats(2 * d.slots * h.slots),
    count: 0,
    lattice: w.lattice,
    x: x.address,
    xDepth: x.depth,
    xHeight: x.height,
    xRow: x.row,
    xStep: w.inputStep * x.voxel,
    y: y.address,
    yDepth: y.depth,
    yHeight: y.height,
    yRow: y.row,
  };
}

/** Packs w as [classD, classH, classW, block, slotD, slotH, run, lanes], lanes beyond the channels zero. */
function packWeights(
  wasm: SharedWasm,
  scratch: Scratch,
  w: tf.TensorInfo,
  c: Convolution,
  { d, h, w: rows }: Walks,
  direction: Direction,
  lanes: number,
  run: number,
): number {
  const [ci, co] = [c.inChannels, c.outChannels];
  const [channelsIn, channels, stepIn, stepOut] = direction === 'forward' ? [ci, co, co, 1] : [co, ci, 1, co];
  const classes = d.taps.length * h.taps.length * rows.classes.length;
  const size = classes * Math.ceil(channels / lanes) * d.slots * h.slots * run * lanes;
  const address = scratch.floats(size);
  const packed = wasm.floats(address, size);
  const from = wasm.floats(wasm.address(w), tf.util.sizeFromShape(w.shape));
  let slot = 0;
  for (const tapsD of d.taps)
    for (const tapsH of h.taps)
      for (const { taps } of rows.classes)
        for (let first = 0; first < channels; first += lanes) {
          const valid = Math.min(lanes, channels - first);
          for (const tapD of tapsD)
            for (const tapH of tapsH) {
              let at = slot;
              slot += run * lanes;
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
  return address;
}

/**
 * Sums over voxels of the gathered input times the other. For the plain convolution dy stays and x is gathered. For the
 * transposed one x, padded, stays and dy is gathered, so the sums come with their channels exchanged.
 */
function weightGradient(
  wasm: SharedWasm,
  x: tf.TensorInfo,
  dy: tf.TensorInfo,
  c: Convolution,
): tf.TensorInfo {
  const walks = walksOf(c, c.transposed ? 'backward' : 'forward');
  const [gathered, still] = c.transposed ? [dy, x] : [x, dy];
  const [channelsA, channelsB] = [gathered.shape[4]!, still.shape[4]!];
  const lanes = lanesFor(channelsB);
  const tile = lanes === 8 ? 4 : 8;
  const run = Math.ceil((c.kernel[2] * channelsA) / tile) * tile;
  const channels = Math.ceil(channelsB / lanes) * lanes;
  const dw = wasm.output(weightShape(c));
  return wasm.withScratch((scratch) => {
    const replicated = !c.transposed && c.border === 'replicate';
    const a = padded(wasm, scratch, gathered, walks.w.before, walks.w.after, replicated, true);
    const [before, after] = c.transposed ? [c.before[2], c.after[2]] : [0, 0];
    const b = padded(wasm, scratch, still, before, after, true, channelsB !== channels);
    const weights = scratch.floats(walks.d.slots * walks.h.slots * run * channels);
    const walk = numbersOf({
      ...walkOf(scratch, c.n, walks, a, b),
      yStep: b.voxel,
      channels,
      lanes,
      weights,
      slot: run * channels * FLOAT,
      run,
    });
    wasm.module.correlate(scratch.integers(walk));
    unpackSums(wasm, weights, dw, c, run, channels, lanes);
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
  channels: number,
  lanes: number,
): void {
  const [ci, co, kw] = [c.inChannels, c.outChannels, c.kernel[2]];
  const [channelsA, channelsB, stepA, stepB] = c.transposed ? [co, ci, 1, co] : [ci, co, co, 1];
  const [stepRun, stepChannel] = lanes === 1 ? [1, run] : [channels, 1];
  const lines = c.kernel[0] * c.kernel[1];
  const from = wasm.floats(sums, lines * run * channels);
  const to = wasm.floats(wasm.address(dw), tf.util.sizeFromShape(dw.shape));
  for (let line = 0; line < lines; line++)
    for (let tap = 0; tap < kw; tap++)
      for (let a = 0; a < channelsA; a++) {
        const source = line * run * channels + (tap * channelsA + a) * stepRun;
        const target = (line * kw + tap) * ci * co + a * stepA;
        for (let b = 0; b < channelsB; b++) to[target + b * stepB] = from[source + b * stepChannel]!;
      }
}

/** Where the rows of a tensor are. */
interface Rows {
  readonly address: number;
  readonly depth: number;
  readonly height: number;
  /** Bytes of a row, with its border, and of a voxel. */
  readonly row: number;
  readonly voxel: number;
}

function rowsOf({ shape }: tf.TensorInfo, address: number, added = 0): Rows {
  const voxel = shape[4]! * FLOAT;
  return { address, depth: shape[1]!, height: shape[2]!, row: (shape[3]! + added) * voxel, voxel };
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
): Rows {
  const added = before + after;
  const from = wasm.address(tensor);
  if (added === 0 && !copy) return rowsOf(tensor, from);
  const [n, depth, height, width, channels] = tensor.shape as [number, number, number, number, number];
  const rows = n * depth * height;
  const address = scratch.floats(rows * (width + added) * channels + SLACK, false);
  wasm.module.padRows(from, address, rows, width, channels * FLOAT, before, after, replicate ? 1 : 0);
  return rowsOf(tensor, address, added);
}

/** Channels computed together: a vector or two, or one channel by vectors along its inputs. */
function lanesFor(channels: number): 1 | 4 | 8 {
  if (channels < 4) return 1;
  return channels % 8 !== 0 && channels % 4 === 0 ? 4 : 8;
}
