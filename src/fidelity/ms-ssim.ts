import { InvalidArgument } from '../errors';
import type { VoxelSource } from '../patch/extract';
import { checkShape, type Vec3 } from '../vec3';
import type { IntensityRange } from './pair';
import { eachPlane, type SsimOptions, SsimSums, TAPS } from './ssim';

/** The weights of the scales from fine to coarse, of Wang, Simoncelli and Bovik, "Multi-scale SSIM", 2003. */
const WEIGHTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

export interface MsSsimOptions extends SsimOptions {
  /** How many scales, 1 to 5; default: as many as leave 11 voxels on every axis. */
  readonly scales?: number;
}

/**
 * Multi-scale structural similarity of two volumes: contrast and structure of every scale and luminance of the
 * coarsest, each to the power of its weight (the published ones, scaled to sum to 1 where there are fewer than five
 * scales). Between scales 2 x 2 x 2 voxels become their mean. Computed plane by plane.
 */
export function msSsim(reference: VoxelSource, candidate: VoxelSource, options: MsSsimOptions): number {
  const shape = checkShape('shape', options.shape);
  const scales = options.scales ?? Math.max(1, mostScales(shape));
  if (!Number.isInteger(scales) || scales < 1 || scales > WEIGHTS.length) {
    throw new InvalidArgument('scales', `a whole number, 1 to ${WEIGHTS.length}`, scales);
  }
  if (options.scales !== undefined && scales > mostScales(shape)) {
    const least = `${TAPS * 2 ** (scales - 1)} voxels on every axis for ${scales} scales`;
    throw new InvalidArgument('shape', least, shape);
  }
  const finest = new Scale(shape, options, scales);
  eachPlane(reference, candidate, options, (a, b) => finest.addPlane(a, b));
  const weights = WEIGHTS.slice(0, scales);
  const total = weights.reduce((a, b) => a + b, 0);
  // Anticorrelated volumes have negative factors, of which no fractional power is real: they count as 0.
  return finest.factors().reduce((product, f, i) => product * Math.max(0, f) ** (weights[i]! / total), 1);
}

/** Whether the published five scales fit, so that values of different volumes can be compared. */
export function fitsMsSsim(shape: Vec3): boolean {
  return mostScales(shape) === WEIGHTS.length;
}

/** How many scales leave at least the 11 voxels of a window on every axis. */
function mostScales(shape: Vec3): number {
  return Math.min(WEIGHTS.length, 1 + Math.floor(Math.log2(Math.min(...shape) / TAPS)));
}

/** A scale and, behind it, the coarser ones. */
class Scale {
  private readonly sums: SsimSums;
  private readonly coarser: Scale | undefined;
  private readonly pooled: readonly [PlanePool, PlanePool] | undefined;

  constructor(shape: Vec3, range: IntensityRange, scales: number) {
    this.sums = new SsimSums({ ...range, shape });
    if (scales === 1) return;
    const [nx, ny, nz] = shape;
    this.coarser = new Scale([nx >> 1, ny >> 1, nz >> 1], range, scales - 1);
    this.pooled = [new PlanePool(nx, ny), new PlanePool(nx, ny)];
  }

  addPlane(reference: VoxelSource, candidate: VoxelSource): void {
    this.sums.addPlane(reference, candidate);
    if (!this.coarser || !this.pooled) return;
    const a = this.pooled[0].add(reference);
    const b = this.pooled[1].add(candidate);
    if (a && b) this.coarser.addPlane(a, b);
  }

  /** Structure of this and the coarser scales; of the last one all of SSIM. */
  factors(): number[] {
    return this.coarser ? [this.sums.structure, ...this.coarser.factors()] : [this.sums.ssim];
  }
}

/** Means of 2 x 2 x 2 voxels; an odd last voxel of an axis is left out. */
class PlanePool {
  private readonly sums: Float32Array;
  private planes = 0;

  constructor(
    private readonly nx: number,
    private readonly ny: number,
  ) {
    this.sums = new Float32Array((nx >> 1) * (ny >> 1));
  }

  /** Gives a plane of means with every second plane; it is good until the next call. */
  add(plane: VoxelSource): Float32Array | undefined {
    const { nx, ny, sums } = this;
    const mx = nx >> 1;
    if (this.planes % 2 === 0) sums.fill(0);
    for (let y = 0; y < ny >> 1; y++) {
      for (let x = 0; x < mx; x++) {
        const at = 2 * y * nx + 2 * x;
        const four = plane[at]! + plane[at + 1]! + plane[at + nx]! + plane[at + nx + 1]!;
        sums[y * mx + x]! += four / 8;
      }
    }
    this.planes++;
    return this.planes % 2 === 0 ? sums : undefined;
  }
}
