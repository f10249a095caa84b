import { InvalidConfig } from '../../errors';
import { type Grid, planGrid } from '../../patch/grid';
import { Random } from '../../random';
import type { Vec3 } from '../../vec3';
import type { SplitName } from '../../volume/store/format';
import type { RunConfig } from '../settings/config';

/** A slab of a volume, all of x and y and z in [from, to), with the patches that cover it. */
export interface Region {
  readonly volume: number;
  readonly from: number;
  readonly to: number;
  readonly grid: Grid;
}

export interface Split {
  readonly train: readonly Region[];
  /** Empty where nothing is held out. */
  readonly validation: readonly Region[];
}

/**
 * Decides what is trained on and what is held out: of two or more volumes, whole volumes drawn by the seed; of a
 * single one, the slab at its upper z end. No training patch reaches into the held-out part. Validation patches do
 * not overlap, so each voxel is measured once.
 * @param shapes sizes of the volumes, `[x, y, z]`
 * @param sides of volumes whose split is decided already, in a prepared dataset; followed where it holds out any, or
 *   has several to train on
 * @throws InvalidConfig if there is too little to split
 */
export function planSplit(
  shapes: readonly Vec3[],
  config: Pick<RunConfig, 'validation' | 'patch' | 'stride' | 'seed'>,
  sides?: readonly SplitName[],
): Split {
  const region = (volume: number, from: number, to: number, stride: Vec3): Region => {
    const [x, y] = shapes[volume]!;
    return { volume, from, to, grid: planGrid([x, y, to - from], { patch: config.patch, stride }) };
  };
  const whole = (volume: number, stride: Vec3) => region(volume, 0, shapes[volume]![2], stride);
  const every = shapes.map((_, volume) => volume);

  if (sides && shapes.length > 1) {
    const of = (side: SplitName) => every.filter((volume) => sides[volume] === side);
    return {
      train: of('train').map((volume) => whole(volume, config.stride)),
      validation:
        config.validation === 0 ? [] : of('validation').map((volume) => whole(volume, config.patch)),
    };
  }
  if (config.validation === 0)
    return { train: every.map((volume) => whole(volume, config.stride)), validation: [] };
  if (shapes.length > 1) {
    const count = Math.min(shapes.length - 1, Math.max(1, Math.round(config.validation * shapes.length)));
    const held = new Set(new Random(config.seed, 'validation').permutation(shapes.length).slice(0, count));
    return {
      train: every.filter((volume) => !held.has(volume)).map((volume) => whole(volume, config.stride)),
      validation: every.filter((volume) => held.has(volume)).map((volume) => whole(volume, config.patch)),
    };
  }
  const depth = shapes[0]![2];
  if (depth < 2)
    throw new InvalidConfig([
      { key: 'validation', expected: '0 for a single volume of one slice', received: config.validation },
    ]);
  const border = depth - heldSlices(depth, config.validation, config.patch[2]);
  return {
    train: [region(0, 0, border, config.stride)],
    validation: [region(0, border, depth, config.patch)],
  };
}

/** At least a patch deep where the volume allows it: a thinner slab would have to be padded. */
function heldSlices(depth: number, fraction: number, patchDepth: number): number {
  const wanted = Math.ceil(fraction * depth);
  const roomy = Math.max(wanted, patchDepth);
  return depth - roomy >= patchDepth ? roomy : Math.min(wanted, depth - 1);
}
