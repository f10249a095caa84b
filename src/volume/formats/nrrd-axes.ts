/** The axes of an NRRD file: those along which voxels lie in space, those of a series, and their place. */
import { UnreadableFile } from '../../errors';
import type { Vec3 } from '../../vec3';
import { type DicomPlace, type Fields, unitInMm } from './text-header';
import { parseReal } from './text-readers';

type Vector = readonly number[];

/** Kinds of axes along which voxels lie in space or time. All others are the components of one voxel. */
const domains = ['domain', 'space', 'time', '???', 'none'];

/** The sizes of x, y, z and the series, and the place of x, y and z. Throws UnreadableFile if components come first. */
export function axesIn(fields: Fields, sizes: readonly number[]): DicomPlace & { sizes: readonly number[] } {
  const directions = fields.find('space directions');
  const vectors = directions === undefined ? undefined : vectorsOf(fields, 'space directions', directions);
  if (vectors && vectors.length !== sizes.length)
    fields.refuse(`${sizes.length} space directions, or "none" for an axis`, directions);
  const kinds = words(fields.find('kinds')).map((kind) => kind.toLowerCase());
  const all = sizes.map((_, axis) => axis);
  const isComponent = (axis: number) =>
    vectors ? vectors[axis] === undefined : !domains.includes(kinds[axis] ?? 'none');
  const isTime = (axis: number) =>
    vectors ? vectors[axis]!.slice(0, 3).every((part) => part === 0) : kinds[axis] === 'time';
  const spatial = all.filter((axis) => !isComponent(axis) && !isTime(axis)).slice(0, 3);
  const [first = 0] = spatial;
  if (sizes.slice(0, first).some((size) => size > 1) || spatial.some((axis, n) => axis !== first + n)) {
    const component = Math.max(0, all.findIndex(isComponent));
    const cure = `write one component to a file of its own, for example with \`unu slice -a ${component} -p 0\``;
    const found = `kinds "${kinds.join(' ')}" of sizes ${sizes.join(' x ')}; ${cure}`;
    throw new UnreadableFile(fields.path, 'one number in each voxel, and the axes of space first', found);
  }
  if (spatial.length < 2)
    throw new UnreadableFile(fields.path, 'two or three axes in space', `${spatial.length}`);
  const series = sizes.slice(first + spatial.length);
  const inSpace = spatial.map((axis) => sizes[axis]!);
  const missing = series.length > 0 ? new Array<number>(3 - spatial.length).fill(1) : [];
  const place: DicomPlace = vectors
    ? { steps: spatial.map((axis) => toDicom(fields, vectors[axis]!)), origin: originIn(fields) ?? [0, 0, 0] }
    : plainPlace(fields, sizes.length, spatial);
  return { sizes: [...inSpace, ...missing, ...series], ...place };
}

/**
 * NRRD's spaces, with the signs that turn x and y to DICOM's. Spaces that do not name a patient's sides count as DICOM's,
 * as in ITK. Each may have -time at its end, or T at the end of a short name.
 */
const spaces: readonly (readonly [name: RegExp, x: 1 | -1, y: 1 | -1])[] = [
  [/^(ras|right-anterior-superior)$/, -1, -1],
  [/^(las|left-anterior-superior)$/, 1, -1],
  [/^(lps|left-posterior-superior)$/, 1, 1],
  [/^(scanner-xyz|3d-right-handed|3d-left-handed|right-up|right-down)$/, 1, 1],
];

/** A vector of the file's space in DICOM's, in mm. */
function toDicom(fields: Fields, vector: Vector): Vec3 {
  const space = fields.find('space') ?? 'LPS';
  const name = space
    .toLowerCase()
    .replaceAll(' ', '-')
    .replace(/(-time|t)$/, '');
  const [, signX, signY] = spaces.find(([pattern]) => pattern.test(name)) ?? refuseSpace(fields, space);
  const mm = unitInMm(words(fields.find('space units'))[0]);
  const [x = 0, y = 0, z = 0] = vector;
  return [signX * x * mm, signY * y * mm, z * mm];
}

function refuseSpace(fields: Fields, space: string): never {
  return fields.refuse('a space of NRRD, such as left-posterior-superior, RAS or 3D-right-handed', space);
}

function originIn(fields: Fields): Vec3 | undefined {
  const text = fields.find('space origin');
  if (text === undefined) return undefined;
  const [vector] = vectorsOf(fields, 'space origin', text);
  return toDicom(fields, vector ?? fields.refuse('a space origin such as (0,0,0)', text));
}

/** The place in a file without directions: spacings along DICOM's axes, from its origin or its axis mins on. */
function plainPlace(fields: Fields, axes: number, spatial: readonly number[]): DicomPlace {
  const [spacings, mins] = [knownNumbers(fields, 'spacings', axes), knownNumbers(fields, 'axis mins', axes)];
  const units = words(fields.find('units'));
  const centres = words(fields.find('centers', 'centerings'));
  const size = (axis: number) => (spacings[axis] ?? 1) * unitInMm(units[axis]);
  const steps = spatial.map((axis, n): Vec3 => {
    const along = (other: number) => (n === other ? size(axis) : 0);
    return [along(0), along(1), along(2)];
  });
  const isPlaced = spatial.every((axis) => mins[axis] !== undefined && spacings[axis] !== undefined);
  const start = (n: number) => {
    const axis = spatial[n];
    if (!isPlaced || axis === undefined) return 0;
    return mins[axis]! * unitInMm(units[axis]) + (centres[axis] === 'node' ? 0 : size(axis) / 2);
  };
  return { steps, origin: originIn(fields) ?? [start(0), start(1), start(2)] };
}

/** A number for each axis; undefined where it is not known (`nan`). */
function knownNumbers(fields: Fields, name: string, count: number): (number | undefined)[] {
  const text = fields.find(name);
  if (text === undefined) return [];
  const values = text.split(/\s+/).map(parseReal);
  if (values.length !== count || values.includes(undefined)) fields.refuse(`${count} ${name}`, text);
  return values.map((value) => (Number.isFinite(value) ? value : undefined));
}

/** Words between white space, some in quotes. */
function words(text = ''): string[] {
  return [...text.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
}

/** Vectors such as `(1,0,0)`, all of one length; undefined for `none`, and where a number is not known. */
function vectorsOf(fields: Fields, name: string, text: string): (Vector | undefined)[] {
  const part = /none|\(([^()]*)\)/gi;
  if (text.replace(part, '').trim() !== '') fields.refuse(`${name} such as (1,0,0) (0,1,0) (0,0,1)`, text);
  const vectors = [...text.matchAll(part)].map(([, inside]) =>
    inside?.split(',').map((word) => parseReal(word.trim())),
  );
  const lengths = new Set(vectors.flatMap((vector) => (vector ? [vector.length] : [])));
  const isWrong = [...lengths].some((length) => lengths.size > 1 || length < 2 || length > 4);
  if (isWrong || vectors.some((vector) => vector?.includes(undefined)))
    fields.refuse(`${name} of 2 to 4 numbers each`, text);
  return vectors.map((vector) => (vector?.every(Number.isFinite) ? (vector as Vector) : undefined));
}
