import { InvalidConfig } from '../../errors';
import { type Grid, planGrid } from '../../patch/grid';
import { Random } from '../../random';
import type { Vec3 } from '../../vec3';
import { splitPatients } from '../../volume/prepare/patients';
import type { SplitName } from '../../volume/store/format';
import type { RunConfig } from '../settings/config';

/** A slab of a volume, all of x and y and z in [from, to), with the patches that cover it. */
export interface Region {
  readonly volume: number;
  readonly from: number;
  readonly to: number;
  readonly grid: Grid;
}

interface Split {
  readonly train: readonly Region[];
  /** Empty if nothing is held out. */
  readonly validation: readonly Region[];
}

/**
 * Decides what is held out: all volumes of some patients, whom the seed draws as `prepare` does, or the upper z end of a
 * single volume. If all volumes are of one patient, it draws volumes. No training patch reaches into the held-out part. Validation patches do not overlap, so each voxel is measured once.
 * @param shapes sizes of the volumes, `[x, y, z]`
 * @param sides the split that prepared volumes have already; a single volume is split all the same
 * @throws InvalidConfig if there is too little to split
 */
export function planSplit(
  shapes: readonly Vec3[],
  config: Pick<RunConfig, 'validation' | 'patch' | 'stride' | 'seed' | 'patients'>,
  sides?: readonly (SplitName | undefined)[],
): Split {
  const { validation, patch, stride } = config;
  const region = (volume: number, from: number, to: number, step: Vec3): Region => {
    const [x, y] = shapes[volume]!;
    return { volume, from, to, grid: planGrid([x, y, to - from], { patch, stride: step }) };
  };
  if (shapes.length === 1 && validation > 0) {
    const depth = shapes[0]![2];
    if (depth < 2)
      throw new InvalidConfig([
        { key: 'validation', expected: '0 for a single volume of one slice', received: validation },
      ]);
    const border = depth - heldSlices(depth, validation, patch[2]);
    return { train: [region(0, 0, border, stride)], validation: [region(0, border, depth, patch)] };
  }
  const held = heldOutOf(shapes.length, config);
  const sideOf = (volume: number) =>
    (shapes.length > 1 && sides?.[volume]) || (held.has(volume) ? 'validation' : 'train');
  const whole = (side: SplitName, step: Vec3) =>
    shapes.flatMap((shape, volume) => (sideOf(volume) === side ? [region(volume, 0, shape[2], step)] : []));
  return { train: whole('train', stride), validation: validation > 0 ? whole('validation', patch) : [] };
}

/** The volumes that are held out. Runs of older versions have no `patients`: their volumes are drawn as before. */
function heldOutOf(
  volumes: number,
  { validation, seed, patients }: Pick<RunConfig, 'validation' | 'seed' | 'patients'>,
): ReadonlySet<number> {
  if (validation === 0) return new Set();
  if (patients && new Set(patients).size > 1) {
    const sides = splitPatients(patients, { fractions: [1 - validation, validation, 0], seed });
    return new Set(patients.flatMap((patient, i) => (sides.get(patient) === 'validation' ? [i] : [])));
  }
  const count = Math.min(volumes - 1, Math.max(1, Math.round(validation * volumes)));
  return new Set(new Random(seed, 'validation').permutation(volumes).slice(0, count));
}

/** At least the depth of a patch if the volume allows it: a thinner slab needs padding. */
function heldSlices(depth: number, fraction: number, patchDepth: number): number {
  const wanted = Math.ceil(fraction * depth);
  const roomy = Math.max(wanted, patchDepth);
  return depth - roomy >= patchDepth ? roomy : Math.min(wanted, depth - 1);
}
