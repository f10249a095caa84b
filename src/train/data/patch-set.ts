import { extractPatch } from '../../patch/extract';
import { patchPlace, patchStart, planGrid } from '../../patch/grid';
import { eachAxis, type Vec3 } from '../../vec3';
import { type Intensity, toModel } from '../../volume/intensity';
import type { StoredImage } from '../../volume/store/stored-image';
import { Volume } from '../../volume/volume';
import type { Region } from './split';

/** The part of a patch that is no padding and that no earlier patch of its grid covers, in voxels of the patch. */
export interface OwnVoxels {
  readonly from: Vec3;
  readonly to: Vec3;
}

/**
 * All patches of some regions, numbered with x fastest, then y, z and the regions. Volumes are in memory, or in a
 * prepared dataset from which patches are read one by one.
 */
export class PatchSet {
  readonly count: number;
  private readonly firsts: readonly number[];
  /** Patches that `prefetch` reads. */
  private readonly ahead = new Map<number, Promise<Float32Array>>();
  private batch = new Float32Array(0);

  constructor(
    private readonly regions: readonly Region[],
    private readonly volumes: readonly (Volume | StoredImage)[],
    private readonly intensities: readonly Intensity[],
  ) {
    let count = 0;
    this.firsts = regions.map(({ grid }) => {
      count += grid.patches;
      return count - grid.patches;
    });
    this.count = count;
  }

  /** The patch in the model's [-1, 1]: [pz * py * px], x fastest; in `out` if given. */
  async read(index: number, out?: Float32Array): Promise<Float32Array> {
    const patch = await this.taken(index, out);
    return toModel(patch, this.intensityOf(index), out ?? patch);
  }

  /** The patch as `read` gives it, and the truth to measure against: NaN where the volume has no value. */
  async readTruth(index: number): Promise<{ patch: Float32Array; truth: Float32Array }> {
    const values = await this.taken(index);
    const patch = toModel(values, this.intensityOf(index));
    if (!values.some(Number.isNaN)) return { patch, truth: patch };
    return { patch, truth: patch.map((value, i) => (Number.isNaN(values[i]!) ? Number.NaN : value)) };
  }

  /** Several patches as `read` gives them, [n * pz * py * px]. The next call overwrites them. */
  async readBatch(indices: readonly number[]): Promise<Float32Array> {
    const [px, py, pz] = this.regions[0]!.grid.patch;
    const voxels = px * py * pz;
    const size = indices.length * voxels;
    // New memory at every step costs time to touch and to collect.
    if (this.batch.length < size) this.batch = new Float32Array(size);
    for (const [i, index] of indices.entries())
      await this.read(index, this.batch.subarray(i * voxels, (i + 1) * voxels));
    return this.batch.subarray(0, size);
  }

  /** Begins to read patches in other threads, for later calls of `read`. */
  prefetch(indices: readonly number[]): void {
    for (const index of indices) {
      const { region } = this.locate(index);
      if (this.ahead.has(index) || this.volumes[region.volume] instanceof Volume) continue;
      const values = this.values(index);
      values.catch(() => {}); // `read` throws it
      this.ahead.set(index, values);
    }
  }

  private taken(index: number, out?: Float32Array): Promise<Float32Array> {
    const values = this.ahead.get(index) ?? this.values(index, out);
    this.ahead.delete(index);
    return values;
  }

  private intensityOf(index: number): Intensity {
    return this.intensities[this.locate(index).region.volume]!;
  }

  /** The patch in the volume's own values; in `out` if the volume is in memory. */
  private async values(index: number, out?: Float32Array): Promise<Float32Array> {
    const { region, at } = this.locate(index);
    const volume = this.volumes[region.volume]!;
    if (!(volume instanceof Volume)) return storedPatch(volume, region, at);
    const slice = volume.shape[0] * volume.shape[1];
    // z is the slowest axis, so a slab is one piece of the volume.
    const slab = volume.data.subarray(region.from * slice, region.to * slice);
    return extractPatch(slab, region.grid, at, out);
  }

  own(index: number): OwnVoxels {
    const { region, at } = this.locate(index);
    const { grid } = region;
    const [start, place] = [patchStart(grid, at), patchPlace(grid, at)];
    const from = eachAxis((axis) => {
      const previous = place[axis] > 0 ? grid.starts[axis][place[axis] - 1]! + grid.patch[axis] : 0;
      return Math.max(0, previous - start[axis], -start[axis]);
    });
    return { from, to: eachAxis((axis) => Math.min(grid.patch[axis], grid.volume[axis] - start[axis])) };
  }

  private locate(index: number): { region: Region; at: number } {
    let i = this.regions.length - 1;
    while (this.firsts[i]! > index) i--;
    return { region: this.regions[i]!, at: index - this.firsts[i]! };
  }
}

/** Reads the part of a patch in the region and repeats its border, as `extractPatch` does in memory. */
async function storedPatch(volume: StoredImage, { from, grid }: Region, at: number): Promise<Float32Array> {
  const place = patchStart(grid, at);
  const start = eachAxis((axis) => Math.max(0, place[axis]));
  const size = eachAxis((axis) => Math.min(grid.volume[axis], place[axis] + grid.patch[axis]) - start[axis]);
  const inside = await volume.readPatch([start[0], start[1], start[2] + from], size);
  if (size.every((n, axis) => n === grid.patch[axis])) return inside;
  // A patch that leaves the region is larger than it, so it is the only one along that axis.
  return extractPatch(inside, planGrid(size, { patch: grid.patch, stride: grid.patch }), 0);
}
