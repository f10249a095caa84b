import { InvalidArgument } from '../errors';
import { perplexity, usage } from '../model/codebook';
import { countCodes } from '../model/quantisers/quantiser';
import { type Grid, planGrid } from '../patch/grid';
import type { WeightsName } from '../train/settings/config';
import { eachAxis, type Vec3, voxelCount } from '../vec3';
import type { Intensity } from '../volume/intensity';
import type { VoxelStorage } from '../volume/write';

/** Where a volume is, and which of its voxels the model saw. Sizes are `[x, y, z]` in voxels. */
export interface CodesGeometry {
  readonly shape: Vec3;
  readonly spacing: Vec3;
  /** Voxel index to world mm, 16 numbers, row-major. */
  readonly affine: readonly number[];
  readonly source?: string;
  /** How its file stored whole numbers, if it did. */
  readonly stored?: VoxelStorage;
  /** What was cut into patches, if that was a resampled view of the volume. */
  readonly seen?: { readonly shape: Vec3; readonly spacing: Vec3; readonly affine: readonly number[] };
}

/** Which model the codes are of. */
export interface CodesModel {
  /** The checkpoint's folder when the codes were made. */
  readonly checkpoint: string;
  /** Of its `model.safetensors`: another checkpoint with this hash is the same model. */
  readonly sha256: string;
  /** Which of its weights: as trained, or their moving average. */
  readonly use: WeightsName;
  readonly quantiser: string;
  /** Codes of each codebook. */
  readonly codes: number;
  readonly codebooks: number;
  readonly downsample: Vec3;
}

export interface CodesInit {
  /** [patches, codebooks, z, y, x], x fastest: each latent's code in its codebook, in [0, codes). */
  readonly data: Uint8Array | Uint16Array | Uint32Array;
  readonly patch: Vec3;
  readonly stride: Vec3;
  readonly geometry: CodesGeometry;
  readonly intensity: Intensity;
  readonly model: CodesModel;
  /** [patches, z, y, x, codeDim], if they were asked for. */
  readonly latents?: Float32Array;
}

/** A volume as a model's codes, patch by patch: all that the decoder needs to make the reconstruction. */
export class Codes implements CodesInit {
  readonly data: CodesInit['data'];
  readonly patch: Vec3;
  readonly stride: Vec3;
  readonly geometry: CodesGeometry;
  readonly intensity: Intensity;
  readonly model: CodesModel;
  readonly latents?: Float32Array;
  readonly grid: Grid;
  /** Codes of a patch along [x, y, z]. */
  readonly patchCodes: Vec3;

  /** @throws InvalidArgument if the number of codes or a code does not fit */
  constructor(init: CodesInit) {
    const { patch, stride, geometry } = init;
    this.data = init.data;
    this.patch = patch;
    this.stride = stride;
    this.geometry = geometry;
    this.intensity = init.intensity;
    this.model = init.model;
    this.latents = init.latents;
    this.grid = planGrid((geometry.seen ?? geometry).shape, { patch, stride });
    const { downsample, codes } = init.model;
    this.patchCodes = eachAxis((axis) => patch[axis] / downsample[axis]);
    const expected = this.shape.reduce((product, size) => product * size, 1);
    if (this.data.length !== expected)
      throw new InvalidArgument('codes', `${expected} codes, [${this.shape}]`, this.data.length);
    const wrong = this.data.find((code) => code >= codes);
    if (wrong !== undefined) throw new InvalidArgument('codes', `numbers below ${codes}`, wrong);
  }

  /** [patches, codebooks, z, y, x] */
  get shape(): readonly [number, number, number, number, number] {
    const [x, y, z] = this.patchCodes;
    return [this.grid.patches, this.model.codebooks, z, y, x];
  }

  /** Bits that tell one code of a codebook from the others. */
  get bitsPerCode(): number {
    return Math.ceil(Math.log2(this.model.codes));
  }

  /** exp(entropy) of the codes; those of different codebooks are different codes. */
  get perplexity(): number {
    return perplexity(this.counts());
  }

  /** Distinct codes in use over those there are. */
  get usage(): number {
    return usage(this.counts());
  }

  /** How often each code occurs, [codebooks * codes]. */
  counts(): Float32Array {
    const { codes, codebooks } = this.model;
    const { perBook } = this;
    const counts = new Float32Array(codes * codebooks);
    for (let i = 0; i < this.data.length; i += perBook) {
      const book = (i / perBook) % codebooks;
      const part = countCodes(this.data.subarray(i, i + perBook), codes);
      for (let code = 0; code < codes; code++) counts[book * codes + code]! += part[code]!;
    }
    return counts;
  }

  /** A patch's codes as the model numbers and orders them: [z, y, x, codebooks], codebook b's from b * codes on. */
  ofPatch(index: number): Float32Array {
    const out = new Float32Array(this.perBook * this.model.codebooks);
    eachCode(index, out.length, this.model, (i, at, first) => {
      out[i] = this.data[at]! + first;
    });
    return out;
  }

  /** Codes of a patch in one codebook. */
  private get perBook(): number {
    return voxelCount(this.patchCodes);
  }
}

/** An array of `length` codes in [0, codes), of the smallest type that holds them. */
export function codesArray(length: number, codes: number): CodesInit['data'] {
  if (codes <= 2 ** 8) return new Uint8Array(length);
  return codes <= 2 ** 16 ? new Uint16Array(length) : new Uint32Array(length);
}

/** Writes a patch's codes, as the model numbers and orders them, to where `ofPatch` reads them. */
export function putPatch(
  data: CodesInit['data'],
  index: number,
  patch: ArrayLike<number>,
  books: Books,
): void {
  eachCode(index, patch.length, books, (i, at, first) => {
    data[at] = patch[i]! - first;
  });
}

type Books = Pick<CodesModel, 'codes' | 'codebooks'>;

/** Where each of a patch's codes is in [patches, codebooks, z, y, x], and the first number of its codebook. */
function eachCode(
  patch: number,
  length: number,
  { codes, codebooks }: Books,
  visit: (i: number, at: number, first: number) => void,
): void {
  const perBook = length / codebooks;
  for (let i = 0; i < length; i++) {
    const book = i % codebooks;
    visit(i, (patch * codebooks + book) * perBook + Math.floor(i / codebooks), book * codes);
  }
}
