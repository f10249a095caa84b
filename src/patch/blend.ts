import { InvalidArgument } from '../errors';
import type { LongCall } from '../progress';
import { addRow, type RowWindow, rowWindow } from './accumulate';
import { clip, expectLength } from './extract';
import { type Grid, patchPlace } from './grid';
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
  /** Patches that will not come; each counts as a patch of nothing but `fill`. */
  readonly skip?: Iterable<number>;
  /** The value of skipped patches and of voxels outside the mask; default 0. */
  readonly fill?: number;
  /** One value a voxel of the volume; where it is 0 the output is `fill`. */
  readonly mask?: Uint8Array;
  /** Give slabs in ascending z, kept back until then; otherwise each comes as soon as it is final. */
  readonly ordered?: boolean;
}

/** Patches in any order, from memory or as they are computed. */
export type Patches = AsyncIterable<Patch> | Iterable<Patch>;

/**
 * Blends the patches of a grid to a volume, plane by plane. A slab comes out as soon as the last patch that covers it
 * has come in, so in the grid's order memory is that of one patch's depth of planes, however deep the volume is.
 * A slab's array belongs to whoever takes it; a patch's array is not kept after the next one is asked for.
 *
 * @throws InvalidArgument for a patch that is not of the grid, comes twice or has another size, and at the end of
 * `patches` when some are missing.
 */
export async function* blendSlabs(
  grid: Grid,
  patches: Patches,
  options: BlendOptions = {},
): AsyncGenerator<Slab, void, undefined> {
  const blend = new Blend(grid, options);
  let done = 0;
  const arrived = (): void => options.onProgress?.({ done: ++done, total: grid.patches, what: 'patches' });
  for (const index of options.skip ?? []) {
    options.signal?.throwIfAborted();
    yield* blend.add(index, undefined);
    arrived();
  }
  for await (const { index, data } of patches) {
    options.signal?.throwIfAborted();
    yield* blend.add(index, data);
    arrived();
  }
  blend.finish();
}

/** Blends the patches of a grid to one array, `[z, y, x, channels]`. Errors are those of `blendSlabs`. */
export async function blendPatches(
  grid: Grid,
  patches: Patches,
  options: BlendOptions & { readonly out?: Float32Array } = {},
): Promise<Float32Array> {
  const plane = grid.volume[0] * grid.volume[1] * (options.channels ?? 1);
  const volume = options.out ?? new Float32Array(plane * grid.volume[2]);
  expectLength('out', volume, plane * grid.volume[2], 'the volume of the grid');
  for await (const slab of blendSlabs(grid, patches, options)) volume.set(slab.data, slab.z * plane);
  return volume;
}

/** A blend under way: the slabs that some but not all of their patches have reached. */
class Blend {
  private readonly plan: readonly SlabPlan[];
  private readonly slabs: (Float32Array | undefined)[];
  private readonly waiting: number[];
  private readonly arrived: Uint8Array;
  private readonly rows: readonly RowWindow[];
  private readonly windows;
  private readonly channels: number;
  private readonly fill: number;
  private nextInOrder = 0;

  constructor(
    private readonly grid: Grid,
    private readonly options: BlendOptions,
  ) {
    this.channels = options.channels ?? 1;
    if (!Number.isInteger(this.channels) || this.channels < 1) {
      throw new InvalidArgument('channels', 'a positive integer', this.channels);
    }
    this.fill = options.fill ?? 0;
    const voxels = grid.volume[0] * grid.volume[1] * grid.volume[2];
    if (options.mask) expectLength('mask', options.mask, voxels, 'one a voxel of the volume');
    this.windows = axisWindows(grid, options.window ?? 'gaussian', options);
    this.rows = this.windows[0].map((w, i) => rowWindow(w, clip(grid, 0, grid.starts[0][i]!), this.channels));
    this.plan = planSlabs(grid);
    this.slabs = this.plan.map(() => undefined);
    this.waiting = this.plan.map((slab) => slab.patches);
    this.arrived = new Uint8Array(grid.patches);
  }

  /** Adds a patch (a skipped one has no data) and gives the slabs that it makes final. */
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
      this.slabs[i] ??= this.newSlab(slab);
      this.accumulate(this.slabs[i]!, slab, place, source, data ? px * py * this.channels : 0);
      this.waiting[i]!--;
      if (!this.options.ordered && this.waiting[i] === 0) yield this.take(i);
    }
    while (this.options.ordered && this.waiting[this.nextInOrder] === 0) yield this.take(this.nextInOrder++);
  }

  /** Fails where patches are missing. */
  finish(): void {
    const missing = this.grid.patches - this.arrived.reduce((sum, one) => sum + one, 0);
    if (missing === 0) return;
    const first = this.arrived.indexOf(0);
    const expected = `all ${this.grid.patches} patches of the grid`;
    throw new InvalidArgument('patches', expected, `${missing} missing, the first is ${first}`);
  }

  private newSlab(slab: SlabPlan): Float32Array {
    return new Float32Array(this.grid.volume[0] * this.grid.volume[1] * slab.depth * this.channels);
  }

  private accumulate(
    out: Float32Array,
    slab: SlabPlan,
    place: readonly [number, number, number],
    source: Float32Array,
    sourcePlane: number,
  ): void {
    const { starts, volume, patch } = this.grid;
    const [sx, sy, sz] = [starts[0][place[0]]!, starts[1][place[1]]!, starts[2][place[2]]!];
    const row = this.rows[place[0]]!;
    const wy = this.windows[1][place[1]]!;
    const wz = this.windows[2][place[2]]!;
    const [y0, y1] = clip(this.grid, 1, sy);
    for (let z = 0; z < slab.depth; z++) {
      const pz = slab.z + z - sz;
      for (let y = y0; y < y1; y++) {
        const to = ((z * volume[1] + sy + y) * volume[0] + sx) * this.channels;
        const from = pz * sourcePlane + y * patch[0] * this.channels;
        addRow(out, to, source, from, wz[pz]! * wy[y]!, row);
      }
    }
  }

  private take(i: number): Slab {
    const { z, depth } = this.plan[i]!;
    const data = this.slabs[i]!;
    this.slabs[i] = undefined;
    if (this.options.mask)
      this.applyMask(this.options.mask, data, z * this.grid.volume[0] * this.grid.volume[1]);
    return { z, depth, data };
  }

  private applyMask(mask: Uint8Array, data: Float32Array, firstVoxel: number): void {
    for (let i = 0; i < data.length; i++) {
      if (mask[firstVoxel + Math.floor(i / this.channels)] === 0) data[i] = this.fill;
    }
  }
}
