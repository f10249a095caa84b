import { extractPatch } from '../patch/extract';
import { patchPlace, patchStart } from '../patch/grid';
import { type Intensity, toModel } from '../volume/intensity';
import type { Volume } from '../volume/volume';
import type { Region } from './split';

/** The part of a patch that no earlier patch of its grid covers and that is no padding, as voxels of the patch. */
export interface OwnVoxels {
  readonly from: readonly [number, number, number];
  readonly to: readonly [number, number, number];
}

/** All patches of some regions, counted through: x fastest, then y, then z, then the regions in their order. */
export class PatchSet {
  readonly count: number;
  private readonly firsts: readonly number[];

  constructor(
    private readonly regions: readonly Region[],
    private readonly volumes: readonly Volume[],
    private readonly intensities: readonly Intensity[],
  ) {
    let count = 0;
    this.firsts = regions.map(({ grid }) => {
      count += grid.patches;
      return count - grid.patches;
    });
    this.count = count;
  }

  /** The patch in the model's [-1, 1]: [pz * py * px], x fastest. */
  read(index: number): Float32Array {
    const { region, at } = this.locate(index);
    const { shape, data } = this.volumes[region.volume]!;
    const slice = shape[0] * shape[1];
    // z is the slowest axis, so a slab is one piece of the volume.
    const slab = data.subarray(region.from * slice, region.to * slice);
    const patch = extractPatch(slab, region.grid, at);
    return toModel(patch, this.intensities[region.volume]!, patch);
  }

  own(index: number): OwnVoxels {
    const { region, at } = this.locate(index);
    const { grid } = region;
    const [start, place] = [patchStart(grid, at), patchPlace(grid, at)];
    const axes = [0, 1, 2] as const;
    const covered = axes.map((axis) => {
      const previous = place[axis] > 0 ? grid.starts[axis][place[axis] - 1]! + grid.patch[axis] : 0;
      return Math.max(0, previous - start[axis], -start[axis]);
    });
    const ends = axes.map((axis) => Math.min(grid.patch[axis], grid.volume[axis] - start[axis]));
    return { from: [covered[0]!, covered[1]!, covered[2]!], to: [ends[0]!, ends[1]!, ends[2]!] };
  }

  private locate(index: number): { region: Region; at: number } {
    let i = this.regions.length - 1;
    while (this.firsts[i]! > index) i--;
    return { region: this.regions[i]!, at: index - this.firsts[i]! };
  }
}
