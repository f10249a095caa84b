import { InvalidArgument } from '../errors';
import type { VoxelMemory } from '../memory/voxel-memory';
import type { LongCall } from '../progress';
import type { Vec3 } from '../vec3';
import type { VolumePlace } from '../volume/volume';
import { clip, expectLength } from './extract';
import { type Grid, patchPlace } from './grid';
import { SimdBuffers } from './simd-buffers';
import { type Sink, type Written, writeTo } from './sink';
import { type BufferPlan, PlainBuffers, type SlabBuffer, type SlabBuffers } from './slab-buffer';
import { planSlabs, type SlabPlan } from './slabs';
import { axisWindows, type WindowName, type WindowOptions } from './windows';

/** A patch of a grid by its index, `[pz, py, px, channels]`. */
export interface Patch {
  readonly index: number;
  readonly data: Float32Array;
}

/** Finished planes of a volume, `[depth, y, x, channels]`, from plane z on. */
export interface Slab {
  readonly z: number;
  readonly depth: number;
  readonly data: Float32Array;
}

export interface BlendOptions extends LongCall, WindowOptions {
  /** Default `gaussian`. */
  readonly window?: WindowName;
  /** Values of a voxel, running fastest; default 1. */
  readonly channels?: number;
  /** Patches that will not come; each counts as a patch filled with `fill`. */
  readonly skip?: Iterable<number>;
  /** The value of skipped patches and of voxels outside the mask; default 0. */
  readonly fill?: number;
  /** One value for each voxel of the volume; where it is 0 the output is `fill`. */
  readonly mask?: Uint8Array;
  /** How many threads blend, this one included, in WebAssembly; default 1. 0 blends in plain JavaScript. */
  readonly threads?: number;
  /** Blend in this memory. If it is that of the volume, cutting patches into `room()` is faster. */
  readonly memory?: VoxelMemory;
}

export interface SlabOptions extends BlendOptions {
  /** Give slabs in ascending z; otherwise each comes as soon as it is final. */
  readonly ordered?: boolean;
  /** Lend a slab's array only until the next slab is asked for, which saves a copy; otherwise it may be kept. */
  readonly reuse?: boolean;
}

/** Slabs are cut to about this many bytes, so that a finished slab is small beside those being blended. */
const SLAB_BYTES = 2 ** 24;

/** Patches in any order, from memory or as they are computed. */
export type Patches = AsyncIterable<Patch> | Iterable<Patch>;

/**
 * A source that writes patches where the blender reads them, which saves a copy: `room()` gives the array for the next
 * patch. Arrays of earlier calls must not be touched any more.
 */
export type PatchSource = (room: () => Float32Array) => Patches;

/**
 * Blends the patches of a grid to slabs of the volume. A slab comes out as soon as the last patch that covers it has
 * come in, so for patches in the grid's order the memory is that of one patch's depth of planes, however deep the
 * volume is. A patch's array is not kept after the next one is asked for.
 *
 * @throws InvalidArgument for a patch that is not of the grid, comes twice or has another size, and at the end of
 * `patches` if some are missing.
 */
export async function* blendSlabs(
  grid: Grid,
  patches: Patches | PatchSource,
  options: SlabOptions = {},
): AsyncGenerator<Slab, void, undefined> {
  const blending = new Blend(grid, options, typeof patches === 'function');
  try {
    let done = 0;
    const arrived = (): void => options.onProgress?.({ done: ++done, total: grid.patches, what: 'patches' });
    for (const index of options.skip ?? []) {
      options.signal?.throwIfAborted();
      yield* blending.add(index, undefined);
      arrived();
    }
    const source = typeof patches === 'function' ? patches(() => blending.buffers.room()) : patches;
    for await (const { index, data } of source) {
      options.signal?.throwIfAborted();
      yield* blending.add(index, data);
      arrived();
    }
    blending.finish();
  } finally {
    blending.buffers.end();
  }
}

/**
 * Blends the patches of a grid to one array, `[z, y, x, channels]`, or with `to` straight into a NIfTI file or a
 * dataset, slab by slab.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * const grid = pw.planGrid(ct.shape, { patch: [32, 32, 16] });
 * const data = await pw.blend(grid, pw.extractPatches(ct.data, grid), { window: 'hann' });
 * await pw.blend(grid, pw.extractPatches(ct.data, grid), { to: 'blended.nii.gz', like: ct });
 * ```
 * @param options.out the array to blend to; default: a new one
 * @param options.like where the volume is in the patient: a Volume of the grid's size, or its place alone
 * @throws InvalidArgument as `blendSlabs`, and for a place of another size; errors of `writeSlabs` and
 * `writeDatasetVolume`
 */
export async function blend(
  grid: Grid,
  patches: Patches | PatchSource,
  options: Omit<BlendOptions, 'channels'> & { readonly to: Sink; readonly like: VolumePlace },
): Promise<Written>;
export async function blend(
  grid: Grid,
  patches: Patches | PatchSource,
  options?: BlendOptions & { readonly out?: Float32Array },
): Promise<Float32Array>;
export async function blend(
  grid: Grid,
  patches: Patches | PatchSource,
  options: BlendOptions & {
    readonly out?: Float32Array;
    readonly to?: Sink;
    readonly like?: VolumePlace;
  } = {},
): Promise<Float32Array | Written> {
  const { to, like, signal } = options;
  const [vx, vy, vz] = grid.volume;
  if (to !== undefined) {
    if (!like || like.shape.some((size, axis) => size !== grid.volume[axis]))
      throw new InvalidArgument(
        'like',
        `a place of the grid's size, ${grid.volume.join(' x ')}`,
        like?.shape,
      );
    return writeTo(to, like, blendSlabs(grid, patches, { ...options, ordered: true, reuse: true }), {
      signal,
    });
  }
  const plane = vx * vy * (options.channels ?? 1);
  const volume = options.out ?? new Float32Array(plane * vz);
  expectLength('out', volume, plane * vz, 'the volume of the grid');
  const slabs = blendSlabs(grid, patches, { ...options, reuse: true });
  for await (const slab of slabs) volume.set(slab.data, slab.z * plane);
  return volume;
}

/** A blend under way: the slabs that some but not all of their patches have reached. */
class Blend {
  private readonly plan: readonly SlabPlan[];
  private readonly open: (SlabBuffer | undefined)[];
  private readonly waiting: number[];
  private readonly arrived: Uint8Array;
  private readonly windows;
  readonly buffers: SlabBuffers;
  private readonly channels: number;
  private readonly fill: number;
  /** Values of a plane of the volume. */
  private readonly plane: number;
  private nextInOrder = 0;

  constructor(
    private readonly grid: Grid,
    private readonly options: SlabOptions,
    rooms: boolean,
  ) {
    const { channels = 1, window = 'gaussian', mask, threads = 1, memory } = options;
    if (!Number.isInteger(channels) || channels < 1) {
      throw new InvalidArgument('channels', 'a positive integer', channels);
    }
    if (!Number.isInteger(threads) || threads < 0) {
      throw new InvalidArgument('threads', 'a whole number, 0 or more', threads);
    }
    const [vx, vy, vz] = grid.volume;
    if (mask) expectLength('mask', mask, vx * vy * vz, 'one for each voxel of the volume');
    this.channels = channels;
    this.fill = options.fill ?? 0;
    this.plane = vx * vy * channels;
    this.windows = axisWindows(grid, window, options);
    this.plan = planSlabs(grid, Math.max(1, Math.floor(SLAB_BYTES / (4 * this.plane))));
    const weights = { x: this.windows[0].map((w) => repeat(w, channels)), y: this.windows[1] };
    const patchPlane = grid.patch[0] * grid.patch[1] * channels;
    const buffers: BufferPlan = {
      weights,
      patchPlane,
      plane: this.plane,
      patch: patchPlane * grid.patch[2],
      largestSlab: Math.max(...this.plan.map(({ depth }) => depth)) * this.plane,
      threads,
      rooms,
      memory,
    };
    this.buffers = (threads > 0 ? SimdBuffers.create(buffers) : undefined) ?? new PlainBuffers(buffers);
    this.open = this.plan.map(() => undefined);
    this.waiting = this.plan.map((slab) => slab.patches);
    this.arrived = new Uint8Array(grid.patches);
  }

  /** Adds a patch (a skipped one has no data) and gives the slabs that this makes final. */
  *add(index: number, data: Float32Array | undefined): Generator<Slab, void, undefined> {
    const place = patchPlace(this.grid, index);
    if (this.arrived[index]) throw new InvalidArgument('patches', 'each patch once', `patch ${index} twice`);
    const [px, py, pz] = this.grid.patch;
    if (data)
      expectLength(`patches[${index}].data`, data, px * py * pz * this.channels, 'a patch of the grid');
    const source = data ?? new Float32Array(px * py * this.channels).fill(this.fill);
    this.arrived[index] = 1;
    for (let i = 0; i < this.plan.length; i++) {
      const slab = this.plan[i]!;
      if (place[2] < slab.firstLayer || place[2] > slab.lastLayer) continue;
      this.open[i] ??= this.buffers.open(this.plane * slab.depth);
      this.accumulate(this.open[i]!, slab, place, source, data ? px * py * this.channels : 0);
      this.waiting[i]!--;
      if (!this.options.ordered && this.waiting[i] === 0) yield* this.give(i);
    }
    while (this.options.ordered && this.waiting[this.nextInOrder] === 0) yield* this.give(this.nextInOrder++);
  }

  /** @throws InvalidArgument if patches are missing */
  finish(): void {
    const missing = this.grid.patches - this.arrived.reduce((sum, one) => sum + one, 0);
    if (missing === 0) return;
    const first = this.arrived.indexOf(0);
    const expected = `all ${this.grid.patches} patches of the grid`;
    throw new InvalidArgument('patches', expected, `${missing} missing, the first is ${first}`);
  }

  private accumulate(
    buffer: SlabBuffer,
    slab: SlabPlan,
    place: Vec3,
    patch: Float32Array,
    patchPlane: number,
  ): void {
    const { channels, grid, plane } = this;
    const [sx, sy, sz] = [grid.starts[0][place[0]]!, grid.starts[1][place[1]]!, grid.starts[2][place[2]]!];
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

  private *give(i: number): Generator<Slab, void, undefined> {
    const { z, depth } = this.plan[i]!;
    const buffer = this.open[i]!;
    this.open[i] = undefined;
    const values = buffer.values();
    if (this.options.mask) this.applyMask(this.options.mask, values, (z * this.plane) / this.channels);
    if (this.options.reuse) {
      yield { z, depth, data: values };
      buffer.close();
    } else {
      const data = values.slice();
      buffer.close();
      yield { z, depth, data };
    }
  }

  private applyMask(mask: Uint8Array, data: Float32Array, firstVoxel: number): void {
    for (let i = 0; i < data.length; i++) {
      if (mask[firstVoxel + Math.floor(i / this.channels)] === 0) data[i] = this.fill;
    }
  }
}

function repeat(weights: Float32Array, channels: number): Float32Array {
  if (channels === 1) return weights;
  return Float32Array.from(
    { length: weights.length * channels },
    (_, i) => weights[Math.floor(i / channels)]!,
  );
}
