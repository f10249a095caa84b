import { Random } from '../../random';
import { checkShape, checkSpacing, type Size } from '../../vec3';
import { centreOf, diagonalAffine } from '../base/affine';
import { Volume } from '../volume';
import {
  air,
  clot,
  contrast,
  course,
  fieldOfView,
  leftLung,
  paintChest,
  paintOrgans,
  rightLung,
  tubesAlong,
} from './anatomy';
import { type Branch, emboli, growTree, type Root } from './arteries';
import { Canvas } from './canvas';

export interface PhantomOptions {
  /** Voxels along x, y and z, or one number for all. */
  readonly shape: Size;
  /** Another seed is another patient's vessels, clots and noise. Default 0. */
  readonly seed?: number;
  /** Voxel size in mm; by default the whole is 360 x 360 x 300 mm. */
  readonly spacing?: Size;
}

const thinnestVessel = 0.6; // mm, radius
const clotCount = 8;
const noiseDeviation = 20; // HU
const leastValue = -1024; // scanners store nothing below

/**
 * A synthetic chest CT in the pulmonary arterial phase, in Hounsfield units with noise of 20 HU: body, lungs, bones,
 * heart, and a forking tree of contrast-filled arteries (about 350 HU) with emboli (about 50 HU). Every shape shows the
 * same whole chest; `spacing` changes the voxel size and not the picture. The x axis runs to the patient's left, y to
 * the back, z to the head, as scanners write it. Deterministic in shape and seed.
 *
 * ```ts
 * const ct = pw.phantom({ shape: [96, 96, 64], seed: 1 });
 * ```
 */
export function phantom(options: PhantomOptions): Volume {
  const shape = checkShape('shape', options.shape);
  const seed = options.seed ?? 0;
  const canvas = new Canvas(shape, fieldOfView, air);
  paintChest(canvas);
  paintLungVessels(canvas, seed);
  paintOrgans(canvas);
  paintTrunk(canvas);
  addNoise(canvas, new Random(seed, 'phantom', 'noise'));
  const spacing = checkSpacing('spacing', options.spacing ?? canvas.pitch);
  const [dx, dy, dz] = spacing;
  const affine = diagonalAffine([-dx, -dy, dz], centreOf(shape));
  const source = `phantom:${shape.join('x')}${seed === 0 ? '' : `#${seed}`}`;
  return new Volume({ shape, data: canvas.data, spacing, affine, source });
}

const trunk = course('14,-36,-22  18,-24,6  14,-4,28');
const hila = [
  { at: [-34, 10, 20], radius: 8.5 },
  { at: [46, 16, 28], radius: 8 },
] as const;
const arteryRoots: readonly Root[] = [
  // From each hilum an upper, a middle and a lower artery. The left middle one supplies the lingula.
  { at: hila[0].at, towards: [-62, 0, 90], radius: 5.4, lung: rightLung },
  { at: hila[0].at, towards: [-80, -30, 10], radius: 5, lung: rightLung },
  { at: hila[0].at, towards: [-60, 30, -60], radius: 6.4, lung: rightLung },
  { at: hila[1].at, towards: [66, 0, 100], radius: 5.4, lung: leftLung },
  { at: hila[1].at, towards: [90, -30, 14], radius: 4.6, lung: leftLung },
  { at: hila[1].at, towards: [74, 34, -60], radius: 6.2, lung: leftLung },
];
const veinRoots: readonly Root[] = [
  { at: [-20, 20, -14], towards: [-60, 0, 30], radius: 4.5, lung: rightLung },
  { at: [-20, 22, -30], towards: [-60, 30, -60], radius: 4.5, lung: rightLung },
  { at: [40, 20, -14], towards: [70, 0, 30], radius: 4.5, lung: leftLung },
  { at: [40, 22, -30], towards: [70, 30, -60], radius: 4.5, lung: leftLung },
];

/** The pulmonary arteries of a phantom and the clots in them, in mm around its centre. */
export function phantomArteries(seed: number) {
  const arteries = growTrees(arteryRoots, seed, 'arteries');
  return { arteries, clots: emboli(arteries, clotCount, new Random(seed, 'phantom', 'emboli')) };
}

function growTrees(roots: readonly Root[], seed: number, name: string): Branch[] {
  return roots.flatMap((root, n) => growTree(root, thinnestVessel, new Random(seed, 'phantom', name, n)));
}

function paintLungVessels(canvas: Canvas, seed: number): void {
  const { arteries, clots } = phantomArteries(seed);
  for (const { pieces } of growTrees(veinRoots, seed, 'veins')) canvas.tubes(pieces, 210);
  for (const { pieces } of arteries) canvas.tubes(pieces, contrast);
  canvas.tubes(clots, clot);
}

/** The trunk from the right ventricle to the bifurcation, and an artery to each hilum. */
function paintTrunk(canvas: Canvas): void {
  canvas.tubes(tubesAlong(trunk, 13.5), contrast);
  for (const { at, radius } of hila)
    canvas.tube({ from: trunk.at(-1)!, to: at, radii: [11, radius] }, contrast);
}

const noiseTable = 2 ** 18;

/** Adds noise. Each row takes it from a random place in a table, because one draw per voxel would take minutes. */
function addNoise({ data, shape }: Canvas, random: Random): void {
  const table = new Float32Array(noiseTable + shape[0]);
  for (let n = 0; n < table.length; n++) table[n] = random.normal() * noiseDeviation;
  for (let row = 0; row < data.length; row += shape[0]) {
    const start = random.below(noiseTable);
    for (let x = 0; x < shape[0]; x++) {
      data[row + x] = Math.max(leastValue, Math.round(data[row + x]! + table[start + x]!));
    }
  }
}
