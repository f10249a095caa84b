import { InvalidArgument } from '../errors';
import { eachAxis, type Vec3, voxelCount } from '../vec3';
import type { Slab } from '../volume/write';
import type { SlabOptions } from './blend';
import { clip, expectLength } from './extract';
import { type Grid, patchPlace } from './grid';
import { simdBuffers } from './simd-buffers';
import { type BufferPlan, plainBuffers, type SlabBuffer } from './slab-buffer';
import { axisWindows } from './windows';

/** Slabs are cut to about this many bytes, so that a finished slab is small beside those being blended. */
const SLAB_BYTES = 2 ** 24;

/** Planes of a volume that the same layers of patches cover, so that they become final together. */
interface OpenSlab {
  readonly z: number;
  readonly depth: number;
  /** The layers of patches (places along z) that cover the planes, both inclusive. */
  readonly firstLayer: number;
  readonly lastLayer: number;
  /** How many patches of these layers have not come yet. */
  waiting: number;
  /** The sums, from the first patch on until the slab is given. */
  buffer?: SlabBuffer;
}

/** A blend under way: the slabs that some but not all of their patches have reached. */
export class Blending {
  readonly buffers;
  private readonly slabs: readonly OpenSlab[];
  private readonly arrived: Uint8Array;
  private readonly windows;
  private readonly channels: number;
  private readonly fill: number;
  /** Values of a plane of the volume, and of a plane of a patch. */
  private readonly plane: number;
  private readonly patchPlane: number;
  private nextInOrder = 0;

  constructor(
    private readonly grid: Grid,
    private readonly options: SlabOptions,
    rooms: boolean,
  ) {
    const { channels = 1, window = 'gaussian', fill = 0, mask, threads = 1, memory } = options;
    if (!Number.isInteger(channels) || channels < 1)
      throw new InvalidArgument('channels', 'a positive integer', channels);
    if (!Number.isInteger(threads) || threads < 0)
      throw new InvalidArgument('threads', 'a whole number, 0 or more', threads);
    const { volume, patch } = grid;
    if (mask) expectLength('mask', mask, voxelCount(volume), 'one for each voxel of the volume');
    this.channels = channels;
    this.fill = fill;
    this.plane = volume[0] * volume[1] * channels;
    this.patchPlane = patch[0] * patch[1] * channels;
    this.windows = axisWindows(grid, window, options);
    this.slabs = cutIntoSlabs(grid, Math.max(1, Math.floor(SLAB_BYTES / (4 * this.plane))));
    this.arrived = new Uint8Array(grid.patches);
    const plan: BufferPlan = {
      weights: { x: this.windows[0].map((weights) => repeat(weights, channels)), y: this.windows[1] },
      patchPlane: this.patchPlane,
      plane: this.plane,
      patch: this.patchPlane * patch[2],
      largestSlab: Math.max(...this.slabs.map(({ depth }) => depth)) * this.plane,
      threads,
      rooms,
      memory,
    };
    this.buffers = (threads > 0 ? simdBuffers(plan) : undefined) ?? plainBuffers(plan);
  }

  /** Adds a patch (a skipped one has no data) and gives the slabs that this makes final. */
  *add(index: number, data: Float32Array | undefined): Generator<Slab, void, undefined> {
    const { grid, slabs, patchPlane } = this;
    const { ordered } = this.options;
    const place = patchPlace(grid, index);
    if (this.arrived[index]) throw new InvalidArgument('patches', 'each patch once', `patch ${index} twice`);
    if (data) expectLength(`patches[${index}].data`, data, patchPlane * grid.patch[2], 'a patch of the grid');
    const source = data ?? new Float32Array(patchPlane).fill(this.fill);
    this.arrived[index] = 1;
    for (const slab of slabs) {
      if (place[2] < slab.firstLayer || place[2] > slab.lastLayer) continue;
      slab.buffer ??= this.buffers.open(this.plane * slab.depth);
      this.accumulate(slab.buffer, slab, place, source, data ? patchPlane : 0);
      slab.waiting--;
      if (!ordered && slab.waiting === 0) yield* this.give(slab);
    }
    while (ordered && slabs[this.nextInOrder]?.waiting === 0) yield* this.give(slabs[this.nextInOrder++]!);
  }

  /** @throws InvalidArgument if patches are missing */
  finish(): void {
    const missing = this.grid.patches - this.arrived.reduce((sum, one) => sum + one, 0);
    if (missing === 0) return;
    const expected = `all ${this.grid.patches} patches of the grid`;
    const received = `${missing} missing, the first is ${this.arrived.indexOf(0)}`;
    throw new InvalidArgument('patches', expected, received);
  }

  /** @param patchPlane distance of the patch's planes; 0 if one plane stands for all */
  private accumulate(
    buffer: SlabBuffer,
    slab: OpenSlab,
    place: Vec3,
    patch: Float32Array,
    patchPlane: number,
  ): void {
    const { channels, grid, plane } = this;
    const [sx, sy, sz] = eachAxis((axis) => grid.starts[axis][place[axis]]!);
    const [x0, x1] = clip(grid, 0, sx);
    const [y0, y1] = clip(grid, 1, sy);
    const toRow = grid.volume[0] * channels;
    const fromRow = grid.patch[0] * channels;
    const weightsZ = this.windows[2][place[2]]!;
    for (let z = 0; z < slab.depth; z++) {
      const pz = slab.z + z - sz;
      buffer.add({
        patch,
        from: pz * patchPlane + y0 * fromRow + x0 * channels,
        fromRow,
        to: z * plane + (sy + y0) * toRow + (sx + x0) * channels,
        toRow,
        rows: y1 - y0,
        width: (x1 - x0) * channels,
        placeX: place[0],
        firstX: x0 * channels,
        placeY: place[1],
        firstY: y0,
        weightZ: weightsZ[pz]!,
      });
    }
  }

  private *give(slab: OpenSlab): Generator<Slab, void, undefined> {
    const { z, depth } = slab;
    const { mask, reuse } = this.options;
    const buffer = slab.buffer!;
    slab.buffer = undefined;
    const values = buffer.values();
    const firstVoxel = (z * this.plane) / this.channels;
    if (mask)
      for (let i = 0; i < values.length; i++)
        if (mask[firstVoxel + Math.floor(i / this.channels)] === 0) values[i] = this.fill;
    const data = reuse ? values : values.slice();
    if (!reuse) buffer.close();
    yield { z, depth, data };
    if (reuse) buffer.close();
  }
}

/** Cuts a volume at the first and last planes of its layers of patches, and again so that no slab is deeper than `most`. */
function cutIntoSlabs(grid: Grid, most: number): readonly OpenSlab[] {
  const depth = grid.volume[2];
  const starts = grid.starts[2];
  const ends = starts.map((start) => start + grid.patch[2]);
  const inside = [...starts, ...ends].map((z) => Math.min(Math.max(z, 0), depth));
  const cuts = [...new Set(inside)].sort((a, b) => a - b);
  return cuts.slice(0, -1).flatMap((first, i) => {
    const end = cuts[i + 1]!;
    const firstLayer = ends.findIndex((layerEnd) => layerEnd > first);
    const lastLayer = starts.findLastIndex((start) => start <= first);
    const waiting = (lastLayer - firstLayer + 1) * grid.counts[0] * grid.counts[1];
    const parts = Math.ceil((end - first) / most);
    const cut = (part: number) => first + Math.floor((part * (end - first)) / parts);
    return Array.from({ length: parts }, (_, part) => {
      const z = cut(part);
      return { z, depth: cut(part + 1) - z, firstLayer, lastLayer, waiting };
    });
  });
}

function repeat(weights: Float32Array, channels: number): Float32Array {
  const { length } = weights;
  return channels === 1
    ? weights
    : Float32Array.from({ length: length * channels }, (_, i) => weights[Math.floor(i / channels)]!);
}
