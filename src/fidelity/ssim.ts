import { InvalidArgument } from '../errors';
import { VoxelMemory } from '../memory/voxel-memory';
import { expectLength, type VoxelSource } from '../patch/extract';
import type { LongCall } from '../progress';
import { checkShape, type Size, type Vec3 } from '../vec3';
import { expectLow, expectRange, expectSameLength, type IntensityRange } from './pair';

/** Wang et al. 2004: an 11-tap gaussian of standard deviation 1.5 and the two stabilising constants. */
const SIGMA = 1.5;
const RADIUS = 5;
export const TAPS = 2 * RADIUS + 1;
export const K1 = 0.01;
export const K2 = 0.03;
/** The four local means that SSIM needs: of a, of b, of a² + b², of ab. */
const FIELDS = 4;

/** The functions of simd/ssim.ts: addresses in bytes, sizes in values. */
interface SsimLoops {
  filterZ(planes: number, size: number, kernel: number, fields: number): void;
  sumPlane(
    fields: number,
    size: number,
    nx: number,
    ny: number,
    kernel: number,
    rows: number,
    c1: number,
    c2: number,
    sums: number,
  ): void;
}

export interface SsimOptions extends IntensityRange, LongCall {
  /** Size of the volumes in voxels, at least 11 on every axis. */
  readonly shape: Size;
}

/**
 * Mean structural similarity of two volumes over 3D gaussian windows. It equals scikit-image's
 * `structural_similarity(gaussian_weights=True, use_sample_covariance=False)` of the data minus `low`. Windows that reach
 * over the border, or in which the reference has a NaN, do not count. Computed plane by plane in double precision, in
 * the memory of about 30 planes.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * const half = pw.resampleVolume(pw.resampleVolume(ct, [32, 32, 24]), ct.shape);
 * console.log(pw.ssim(ct.data, half.data, { shape: ct.shape, low: -1000, dataRange: 2000 }));
 * ```
 */
export function ssim(reference: VoxelSource, candidate: VoxelSource, options: SsimOptions): number {
  return ssimSums(reference, candidate, options).ssim;
}

/** The same, with the number of windows. */
export function ssimSums(reference: VoxelSource, candidate: VoxelSource, options: SsimOptions): SsimSums {
  const sums = new SsimSums(options);
  eachPlane(reference, candidate, options, (a, b) => sums.addPlane(a, b));
  return sums;
}

/** Visits the planes of two volumes in ascending z. */
export function eachPlane(
  reference: VoxelSource,
  candidate: VoxelSource,
  { shape, signal, onProgress }: SsimOptions,
  visit: (reference: VoxelSource, candidate: VoxelSource) => void,
): void {
  const [nx, ny, nz] = checkShape('shape', shape);
  expectSameLength(reference, candidate);
  expectLength('reference', reference, nx * ny * nz, 'the shape given');
  for (let z = 0; z < nz; z++) {
    signal?.throwIfAborted();
    const [from, to] = [z * nx * ny, (z + 1) * nx * ny];
    visit(reference.subarray(from, to), candidate.subarray(from, to));
    onProgress?.({ done: z + 1, total: nz, what: 'planes' });
  }
}

/** Whether a window fits into a volume. */
export function fitsSsim(shape: Vec3): boolean {
  return shape.every((size) => size >= TAPS);
}

/** SSIM of volumes that come plane by plane in ascending z. */
export class SsimSums {
  private readonly shape: Vec3;
  private readonly low: number;
  private readonly c1: number;
  private readonly c2: number;
  private readonly memory = new VoxelMemory();
  /** A plane in values, rounded up to an even number. */
  private readonly size: number;
  /** Addresses of what the loops read and write. */
  private readonly at: Readonly<Record<'kernel' | 'rotated' | 'sums' | 'fields' | 'rows' | 'recent', number>>;
  private readonly taps = gaussianTaps();
  /** The last 11 planes of the reference, then of the candidate; plane z is at z modulo 11. */
  private readonly recent: Float32Array;
  /** The weights of the planes in `recent`. */
  private readonly rotated: Float64Array;
  /** Sums over all windows: SSIM, its contrast and structure alone; and the count of windows. */
  private readonly sums: Float64Array;
  private planes = 0;

  constructor({ shape: asked, dataRange, low = 0 }: IntensityRange & { readonly shape: Size }) {
    const shape = checkShape('shape', asked);
    if (!fitsSsim(shape)) throw new InvalidArgument('shape', `at least ${TAPS} voxels on every axis`, shape);
    this.shape = shape;
    this.low = expectLow(low);
    this.c1 = (K1 * expectRange(dataRange)) ** 2;
    this.c2 = (K2 * dataRange) ** 2;
    const plane = shape[0] * shape[1];
    const size = plane + (plane % 2);
    this.size = size;
    const room = (bytes: number): number => {
      const address = this.memory.allocate(bytes);
      if (address !== undefined) return address;
      throw new InvalidArgument('shape', 'planes of which 22 fit in 4 GiB', shape);
    };
    const [kernel, rotated, sums] = [room((RADIUS + 1) * 8), room(TAPS * 8), room(3 * 8)];
    const [fields, rows] = [room(FIELDS * size * 8), room(2 * FIELDS * (shape[0] + 2) * 8)];
    const recent = room(2 * TAPS * size * 4);
    this.at = { kernel, rotated, sums, fields, rows, recent };
    const { buffer } = this.memory.shared;
    this.recent = new Float32Array(buffer, recent, 2 * TAPS * size);
    this.rotated = new Float64Array(buffer, rotated, TAPS);
    this.sums = new Float64Array(buffer, sums, 3);
    new Float64Array(buffer, kernel, RADIUS + 1).set(this.taps.subarray(RADIUS));
  }

  addPlane(reference: VoxelSource, candidate: VoxelSource): void {
    const { size, c1, c2 } = this;
    const [nx, ny] = this.shape;
    expectLength('reference', reference, nx * ny, 'a plane of the shape');
    expectLength('candidate', candidate, nx * ny, 'a plane of the shape');
    const slot = this.planes++ % TAPS;
    this.keep(reference, slot);
    this.keep(candidate, TAPS + slot);
    if (this.planes < TAPS) return;

    for (let k = 0; k < TAPS; k++) this.rotated[(this.planes + k) % TAPS] = this.taps[k]!;
    const { recent, rotated, kernel, fields, rows, sums } = this.at;
    const { filterZ, sumPlane } = this.memory.loops<SsimLoops>('fidelity');
    filterZ(recent, size, rotated, fields);
    sumPlane(fields, size, nx, ny, kernel, rows, c1, c2, sums);
  }

  private keep(plane: VoxelSource, slot: number): void {
    const start = slot * this.size;
    this.recent.set(plane, start);
    if (this.low === 0) return;
    for (let i = start; i < start + plane.length; i++) this.recent[i]! -= this.low;
  }

  /** How many windows are in the means so far. */
  get windows(): number {
    return this.sums[2]!;
  }

  /** The mean over the planes so far; NaN before the eleventh, and where the reference has a NaN in every window. */
  get ssim(): number {
    return this.mean(0);
  }

  /** The mean of contrast and structure alone, which MS-SSIM takes from the finer scales. */
  get structure(): number {
    return this.mean(1);
  }

  private mean(sum: 0 | 1): number {
    return this.sums[sum]! / this.windows;
  }
}

export function gaussianTaps(): Float64Array {
  const kernel = Float64Array.from({ length: TAPS }, (_, i) => Math.exp(-0.5 * ((i - RADIUS) / SIGMA) ** 2));
  const sum = kernel.reduce((a, b) => a + b, 0);
  return kernel.map((value) => value / sum);
}
