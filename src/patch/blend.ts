import { InvalidArgument } from '../errors';
import type { VoxelMemory } from '../memory/voxel-memory';
import type { LongCall } from '../progress';
import type { VolumePlace } from '../volume/volume';
import type { Slab } from '../volume/write';
import { Blending } from './blending';
import { expectLength } from './extract';
import type { Grid } from './grid';
import { type Sink, type Written, writeTo } from './sink';
import type { WindowName, WindowOptions } from './windows';

/** A patch of a grid by its index, `[pz, py, px, channels]`. */
export interface Patch {
  readonly index: number;
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
  const blending = new Blending(grid, options, typeof patches === 'function');
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
    const expected = `a place of the grid's size, ${vx} x ${vy} x ${vz}`;
    if (!like || like.shape.some((size, axis) => size !== grid.volume[axis]))
      throw new InvalidArgument('like', expected, like?.shape);
    const ordered = blendSlabs(grid, patches, { ...options, ordered: true, reuse: true });
    return writeTo(to, like, ordered, { signal });
  }
  const plane = vx * vy * (options.channels ?? 1);
  const volume = options.out ?? new Float32Array(plane * vz);
  expectLength('out', volume, plane * vz, 'the volume of the grid');
  const slabs = blendSlabs(grid, patches, { ...options, reuse: true });
  for await (const slab of slabs) volume.set(slab.data, slab.z * plane);
  return volume;
}
