import { InvalidArgument } from '../errors';
import { expectLength, type VoxelSource } from '../patch/extract';
import type { LongCall } from '../progress';
import type { Vec3 } from '../volume/vec3';
import { expectRange, expectSameLength, type RangeOption } from './metrics';

/** Wang et al. 2004: an 11-tap gaussian of standard deviation 1.5 and the two stabilising constants. */
const SIGMA = 1.5;
const RADIUS = 5;
const TAPS = 2 * RADIUS + 1;
const K1 = 0.01;
const K2 = 0.03;
/** The four local means that SSIM needs: of a, of b, of a² + b², of ab. */
const FIELDS = 4;

export interface SsimOptions extends RangeOption, LongCall {
  /** Size of the volumes in voxels, at least 11 on every axis. */
  readonly shape: Vec3;
}

/**
 * Mean structural similarity of two volumes over 3D gaussian windows. It is scikit-image's
 * `structural_similarity(gaussian_weights=True, use_sample_covariance=False)`: windows that would reach over the
 * border are left out of the mean. Computed plane by plane in memory of 11 planes.
 */
export function ssim(reference: VoxelSource, candidate: VoxelSource, options: SsimOptions): number {
  const [nx, ny, nz] = options.shape;
  expectSameLength(reference, candidate);
  expectLength('reference', reference, nx * ny * nz, 'the shape given');
  const sums = new SsimSums(options);
  for (let z = 0; z < nz; z++) {
    options.signal?.throwIfAborted();
    const [from, to] = [z * nx * ny, (z + 1) * nx * ny];
    sums.addPlane(reference.subarray(from, to), candidate.subarray(from, to));
    options.onProgress?.({ done: z + 1, total: nz, what: 'planes' });
  }
  return sums.ssim;
}

/** SSIM of volumes that come plane by plane in ascending z. */
export class SsimSums {
  private readonly nx: number;
  private readonly ny: number;
  private readonly kernel = gaussian();
  private readonly c1: number;
  private readonly c2: number;
  /** The last 11 planes of every field, filtered along x and y, [TAPS][FIELDS][ny - 10][nx - 10]. */
  private readonly recent: Float64Array[];
  private readonly products: Float64Array;
  private readonly rows: Float64Array;
  private planes = 0;
  private sum = 0;

  constructor({ shape, dataRange }: { readonly shape: Vec3; readonly dataRange: number }) {
    if (shape.some((n) => !Number.isInteger(n) || n < TAPS)) {
      throw new InvalidArgument('shape', `at least ${TAPS} voxels on every axis`, shape);
    }
    this.nx = shape[0];
    this.ny = shape[1];
    this.c1 = (K1 * expectRange(dataRange)) ** 2;
    this.c2 = (K2 * dataRange) ** 2;
    const filtered = (this.nx - 2 * RADIUS) * (this.ny - 2 * RADIUS);
    this.recent = Array.from({ length: TAPS }, () => new Float64Array(FIELDS * filtered));
    this.products = new Float64Array(FIELDS * this.nx);
    this.rows = new Float64Array(FIELDS * this.ny * (this.nx - 2 * RADIUS));
  }

  addPlane(reference: VoxelSource, candidate: VoxelSource): void {
    expectLength('reference', reference, this.nx * this.ny, 'a plane of the shape');
    expectLength('candidate', candidate, this.nx * this.ny, 'a plane of the shape');
    this.filterX(reference, candidate);
    this.filterY(this.recent[this.planes % TAPS]!);
    this.planes++;
    if (this.planes >= TAPS) this.sum += this.filterZ();
  }

  /** The mean over the planes so far. */
  get ssim(): number {
    const windows = (this.nx - 2 * RADIUS) * (this.ny - 2 * RADIUS) * (this.planes - 2 * RADIUS);
    return this.sum / windows;
  }

  private filterX(reference: VoxelSource, candidate: VoxelSource): void {
    const { nx, ny, products, rows, kernel } = this;
    const mx = nx - 2 * RADIUS;
    for (let y = 0; y < ny; y++) {
      for (let x = 0; x < nx; x++) {
        const a = reference[y * nx + x]!;
        const b = candidate[y * nx + x]!;
        products[x] = a;
        products[nx + x] = b;
        products[2 * nx + x] = a * a + b * b;
        products[3 * nx + x] = a * b;
      }
      for (let field = 0; field < FIELDS; field++) {
        filterLine(products, field * nx, 1, rows, (field * ny + y) * mx, mx, kernel);
      }
    }
  }

  private filterY(out: Float64Array): void {
    const { nx, ny, rows, kernel } = this;
    const mx = nx - 2 * RADIUS;
    const my = ny - 2 * RADIUS;
    for (let field = 0; field < FIELDS; field++) {
      for (let y = 0; y < my; y++) {
        filterLine(rows, (field * ny + y) * mx, mx, out, (field * my + y) * mx, mx, kernel);
      }
    }
  }

  private filterZ(): number {
    const { kernel, c1, c2, recent, planes } = this;
    const window = (this.nx - 2 * RADIUS) * (this.ny - 2 * RADIUS);
    const ordered = recent.map((_, k) => recent[(planes + k) % TAPS]!);
    let sum = 0;
    for (let i = 0; i < window; i++) {
      let ux = 0;
      let uy = 0;
      let squares = 0;
      let product = 0;
      for (let k = 0; k < TAPS; k++) {
        const plane = ordered[k]!;
        const g = kernel[k]!;
        ux += g * plane[i]!;
        uy += g * plane[window + i]!;
        squares += g * plane[2 * window + i]!;
        product += g * plane[3 * window + i]!;
      }
      const means = ux * uy;
      const power = ux * ux + uy * uy;
      sum += ((2 * means + c1) * (2 * (product - means) + c2)) / ((power + c1) * (squares - power + c2));
    }
    return sum;
  }
}

/** `n` sums of 11 values `step` apart, weighted by a symmetric kernel. */
function filterLine(
  from: Float64Array,
  first: number,
  step: number,
  to: Float64Array,
  target: number,
  n: number,
  kernel: Float64Array,
): void {
  const [g5, g4, g3, g2, g1, g0] = kernel as unknown as [number, number, number, number, number, number];
  for (let i = 0; i < n; i++) {
    const at = first + i;
    to[target + i] =
      g5 * (from[at]! + from[at + 10 * step]!) +
      g4 * (from[at + step]! + from[at + 9 * step]!) +
      g3 * (from[at + 2 * step]! + from[at + 8 * step]!) +
      g2 * (from[at + 3 * step]! + from[at + 7 * step]!) +
      g1 * (from[at + 4 * step]! + from[at + 6 * step]!) +
      g0 * from[at + 5 * step]!;
  }
}

function gaussian(): Float64Array {
  const kernel = Float64Array.from({ length: TAPS }, (_, i) => Math.exp(-0.5 * ((i - RADIUS) / SIGMA) ** 2));
  const sum = kernel.reduce((a, b) => a + b, 0);
  return kernel.map((value) => value / sum);
}
