import { existsSync } from 'node:fs';
import { UnreadableFile } from '../../errors';
import type { Vec3 } from '../../vec3';
import {
  axisCount,
  checkFiles,
  fileBeside,
  headerOf,
  linesOf,
  numberedFiles,
  numbersOf,
  unitInMm,
  wholeOf,
} from './text-header';
import { parseReal, print } from './text-readers';
import type { VolumeFile, VoxelPlace } from './voxel-place';

/** NRRD's names of types. */
const datatypes = new Map(
  Object.entries({
    int8: ['signed char', 'int8', 'int8_t'],
    uint8: ['uchar', 'unsigned char', 'uint8', 'uint8_t'],
    int16: ['short', 'short int', 'signed short', 'signed short int', 'int16', 'int16_t'],
    uint16: ['ushort', 'unsigned short', 'unsigned short int', 'uint16', 'uint16_t'],
    int32: ['int', 'signed int', 'int32', 'int32_t'],
    uint32: ['uint', 'unsigned int', 'uint32', 'uint32_t'],
    int64: [
      'longlong',
      'long long',
      'long long int',
      'signed long long',
      'signed long long int',
      'int64',
      'int64_t',
    ],
    uint64: ['ulonglong', 'unsigned long long', 'unsigned long long int', 'uint64', 'uint64_t'],
    float32: ['float'],
    float64: ['double'],
  }).flatMap(([datatype, names]) => names.map((name) => [name, datatype] as const)),
);

const packings = new Map(
  Object.entries({
    none: ['raw'],
    deflate: ['gzip', 'gz'],
    text: ['txt', 'text', 'ascii'],
    hex: ['hex'],
  } as const).flatMap(([packing, names]) =>
    names.map((name) => [name as string, packing as Exclude<VoxelPlace['packing'], 'by content'>] as const),
  ),
);

/** The kinds of axes along which voxels lie in space or time. All others are components of a voxel. */
const domains = ['domain', 'space', 'time', '???', 'none'];

export function isNrrd(start: string): boolean {
  return /^NRRD\d{4}/.test(start);
}

/**
 * Parses an NRRD header (`.nrrd`, `.nhdr`) as ITK and 3D Slicer do. Undefined if the text ends before the header does.
 * @param text the file's first bytes as latin1, or all
 * @param isWhole whether `text` is all of the file
 * @throws UnreadableFile if the header contradicts itself or the voxels are no plain numbers
 */
export function parseNrrd(text: string, path: string, isWhole: boolean): VolumeFile | undefined {
  const lines = readLines(text, path, isWhole);
  if (!lines) return undefined;
  const { fields, length } = lines;
  const need = (name: string) => {
    const value = fields.get(name.replaceAll(' ', ''));
    if (value === undefined) throw new UnreadableFile(path, `an NRRD header with the field ${name}`, 'none');
    return value;
  };
  const axes = axisCount(path, 'dimension', need('dimension'));
  const sizes = numbersOf(path, 'sizes', need('sizes'), axes);
  const datatype = datatypes.get(need('type').toLowerCase());
  if (!datatype)
    throw new UnreadableFile(
      path,
      `a type of NRRD with plain numbers: ${[...datatypes.keys()].join(', ')}`,
      print(need('type')),
    );
  const packing = packingOf(need('encoding'), path);
  const endian = fields.get('endian')?.toLowerCase();
  const isOrdered = packing === 'text' || /8$/.test(datatype);
  if (!isOrdered && endian !== 'little' && endian !== 'big')
    throw new UnreadableFile(
      path,
      'the field endian, little or big',
      endian === undefined ? 'none' : print(endian),
    );

  const grid = gridOf(fields, sizes, path);
  const header = headerOf(
    {
      format: 'nrrd',
      ...grid,
      datatype,
      littleEndian: isOrdered || endian === 'little',
      description: fields.get('content') ?? '',
    },
    path,
  );
  return {
    header,
    voxels: () => placeOf(fields, packing, { path, sizes, length, names: text.slice(length) }),
  };
}

type Fields = ReadonlyMap<string, string>;

/** The fields, by their names without spaces, and the length of the header in bytes. */
function readLines(
  text: string,
  path: string,
  isWhole: boolean,
): { fields: Fields; length: number } | undefined {
  const fields = new Map<string, string>();
  const [magic = ''] = text.split('\n', 1);
  if (!/^NRRD000[1-5]\s*$/.test(magic)) throw new UnreadableFile(path, 'NRRD0001 to NRRD0005', print(magic));
  for (let at = magic.length + 1; ; ) {
    const end = text.indexOf('\n', at);
    if (end < 0 && !isWhole) return undefined;
    const line = text.slice(at, end < 0 ? undefined : end).trimEnd();
    at = end < 0 ? text.length : end + 1;
    if (line === '') return { fields, length: at };
    if (line.startsWith('#')) continue;
    const [, name, isKey, value] = /^([^:]+):(=?)(.*)$/.exec(line) ?? [];
    if (name === undefined)
      throw new UnreadableFile(path, 'NRRD lines such as "dimension: 3", up to an empty one', print(line));
    // The pairs `key:=value` are free text of programs.
    if (isKey) continue;
    const field = name.toLowerCase().replace(/\s/g, '');
    if (fields.has(field)) throw new UnreadableFile(path, `the field ${print(name)} once`, 'twice');
    fields.set(field, value!.trim());
    if (field === 'datafile' && value!.trim().startsWith('LIST')) return { fields, length: at };
  }
}

function packingOf(encoding: string, path: string): Exclude<VoxelPlace['packing'], 'by content'> {
  const packing = packings.get(encoding.toLowerCase());
  if (packing) return packing;
  const cure = '; write it as gzip, for example with `unu save -f nrrd -e gzip -i in.nrrd -o out.nrrd`';
  const found = /^(bz2|bzip2|zrl)$/i.test(encoding) ? encoding + cure : print(encoding);
  throw new UnreadableFile(path, 'an encoding of raw, gzip, text or hex', found);
}

/** The axes along which voxels lie, and their place in DICOM's world. */
function gridOf(
  fields: Fields,
  sizes: readonly number[],
  path: string,
): { sizes: number[]; steps: Vec3[]; origin: Vec3 } {
  const vectors = fields.has('spacedirections') ? vectorsOf(fields, 'spacedirections', path) : undefined;
  if (vectors && vectors.length !== sizes.length)
    throw new UnreadableFile(
      path,
      `${sizes.length} space directions, or "none" for an axis`,
      print(fields.get('spacedirections')!),
    );
  const kinds = words(fields.get('kinds')).map((kind) => kind.toLowerCase());
  const isComponent = sizes.map((_, axis) =>
    vectors ? vectors[axis] === undefined : !domains.includes(kinds[axis] ?? 'none'),
  );
  const inSpace = sizes.map(
    (_, axis) =>
      !isComponent[axis] &&
      (vectors ? vectors[axis]!.slice(0, 3).some((part) => part !== 0) : kinds[axis] !== 'time'),
  );
  const first = inSpace.indexOf(true);
  const ahead = sizes.slice(0, Math.max(first, 0)).find((size) => size > 1);
  const spatial = sizes
    .map((_, axis) => axis)
    .filter((axis) => inSpace[axis])
    .slice(0, 3);
  if (ahead !== undefined || spatial.some((axis, n) => axis !== first + n)) {
    const found = `kinds "${kinds.join(' ')}" of sizes ${sizes.join(' x ')}; write one component to a file of its own, for example with \`unu slice -a ${Math.max(0, isComponent.indexOf(true))} -p 0\``;
    throw new UnreadableFile(path, 'one number in each voxel, and the axes of space first', found);
  }
  const kept = sizes.slice(Math.max(first, 0));
  if (spatial.length < 2) throw new UnreadableFile(path, 'two or three axes in space', `${spatial.length}`);
  const later = sizes.length - first - spatial.length;
  const padded = [
    ...kept.slice(0, spatial.length),
    ...new Array<number>(3 - spatial.length).fill(1),
    ...kept.slice(kept.length - later),
  ];
  return {
    sizes: later > 0 ? padded : kept,
    ...(vectors
      ? orientedPlace(fields, vectors, spatial, path)
      : plainPlace(fields, sizes.length, spatial, path)),
  };
}

/** The signs that turn a space to DICOM's, where the space names a patient's sides. ITK takes others as DICOM's too. */
function toDicom(space: string | undefined): readonly number[] {
  const name = space
    ?.toLowerCase()
    .replace(/-?time$/, '')
    .replace(/^(ras|las|lps)t$/, '$1');
  if (name === 'ras' || name === 'right-anterior-superior') return [-1, -1, 1];
  if (name === 'las' || name === 'left-anterior-superior') return [1, -1, 1];
  return [1, 1, 1];
}

function orientedPlace(
  fields: Fields,
  vectors: readonly (readonly number[] | undefined)[],
  spatial: readonly number[],
  path: string,
): { steps: Vec3[]; origin: Vec3 } {
  const signs = toDicom(fields.get('space'));
  const mm = unitInMm(words(fields.get('spaceunits'))[0]);
  const turned = (vector: readonly number[]): Vec3 => {
    const [x, y, z] = signs.map((sign, axis) => sign * (vector[axis] ?? 0) * mm);
    return [x!, y!, z!];
  };
  const steps = spatial.map((axis) => turned(vectors[axis]!));
  if (!fields.has('spaceorigin')) return { steps, origin: [0, 0, 0] };
  const [origin] = vectorsOf(fields, 'spaceorigin', path);
  if (!origin)
    throw new UnreadableFile(path, 'a space origin such as (0,0,0)', print(fields.get('spaceorigin')!));
  return { steps, origin: turned(origin) };
}

/** The place of a file without directions: spacings along DICOM's axes, from the axis mins on. */
function plainPlace(
  fields: Fields,
  axes: number,
  spatial: readonly number[],
  path: string,
): { steps: Vec3[]; origin: Vec3 } {
  const unit = words(fields.get('units'));
  const numbers = (name: string) => {
    const text = fields.get(name);
    if (text === undefined) return [];
    const values = text.split(/\s+/).map((word) => parseReal(word));
    if (values.length === axes && values.every((value) => value !== undefined)) return values;
    throw new UnreadableFile(path, `${axes} ${name}`, print(text));
  };
  const [spacings, mins] = [numbers('spacings'), numbers('axismins')];
  const centres = words(fields.get('centers') ?? fields.get('centerings'));
  const [mm, size] = [(axis: number) => unitInMm(unit[axis]), (axis: number) => spacings[axis]];
  const isPlaced = spatial.every((axis) => Number.isFinite(mins[axis]) && Number.isFinite(size(axis)));
  const start = (axis: number) => {
    const half = centres[axis] === 'node' ? 0 : size(axis)! / 2;
    return isPlaced && spatial.includes(axis) ? (mins[axis]! + half) * mm(axis) : 0;
  };
  const steps = spatial.map((axis, n): Vec3 => {
    const step = (Number.isFinite(size(axis)) ? size(axis)! : 1) * mm(axis);
    return [n === 0 ? step : 0, n === 1 ? step : 0, n === 2 ? step : 0];
  });
  const [x, y, z] = [0, 1, 2].map((n) => (n < spatial.length ? start(spatial[n]!) : 0));
  return { steps, origin: [x!, y!, z!] };
}

/** Words between white space, some in quotes. */
function words(text: string | undefined): string[] {
  return [...(text ?? '').matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
}

/** Vectors such as `(1,0,0)`; undefined for `none`, or where a number is not known. */
function vectorsOf(fields: Fields, name: string, path: string): (readonly number[] | undefined)[] {
  const text = fields.get(name)!;
  const parts = text.match(/none|\([^()]*\)/gi) ?? [];
  const rest = text.replace(/none|\([^()]*\)/gi, '').trim();
  const vectors = parts.map((part) =>
    part.startsWith('(')
      ? part
          .slice(1, -1)
          .split(',')
          .map((word) => parseReal(word.trim()))
      : undefined,
  );
  const length = vectors.find((vector) => vector !== undefined)?.length ?? 0;
  if (
    rest !== '' ||
    vectors.some(
      (vector) =>
        vector && (vector.length !== length || length < 2 || length > 4 || vector.includes(undefined)),
    )
  )
    throw new UnreadableFile(path, `${name} of 2 to 4 numbers each`, print(text));
  return vectors.map((vector) => (vector?.every(Number.isFinite) ? (vector as number[]) : undefined));
}

/** Where the voxels are. */
function placeOf(
  fields: Fields,
  packing: Exclude<VoxelPlace['packing'], 'by content'>,
  { path, sizes, length, names }: { path: string; sizes: readonly number[]; length: number; names: string },
): VoxelPlace {
  const lines = wholeOf(path, 'line skip', fields.get('lineskip') ?? '0', 0);
  const skip = wholeOf(path, 'byte skip', fields.get('byteskip') ?? '0', -1);
  if (skip === -1 && packing !== 'none')
    throw new UnreadableFile(path, 'raw encoding with byte skip -1', `encoding ${fields.get('encoding')}`);
  const named = fields.get('datafile');
  // Bytes are skipped in what is decompressed, lines in the file itself.
  const place = {
    lines,
    packing,
    skip: packing === 'deflate' ? 0 : Math.max(0, skip),
    offset: skip === -1 ? ('end' as const) : packing === 'deflate' ? skip : 0,
  };
  if (named === undefined) return { ...place, start: length, files: [path] };
  const files = dataFiles(named, { path, sizes, names });
  const missing = files.find((file) => !existsSync(file));
  if (missing !== undefined)
    throw new UnreadableFile(path, `its voxels in ${missing} (data file)`, 'no such file; put it there');
  return { ...place, start: 0, files };
}

/** The files that the field names: one, a list on the lines after it, or a pattern with numbers. */
function dataFiles(
  named: string,
  { path, sizes, names }: { path: string; sizes: readonly number[]; names: string },
): readonly string[] {
  if (named.startsWith('SKIPLIST'))
    throw new UnreadableFile(
      path,
      'one byte skip for all data files',
      'SKIPLIST; write the volume to one file, for example with `unu save`',
    );
  const [isList, axes] = /^LIST\s*(\d*)$/.exec(named) ?? [];
  const [isPattern, pattern, first, last, step, dimension] =
    /^(.*%\d*[diu]\S*)\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)(?:\s+(\d+))?$/.exec(named) ?? [];
  if (isList === undefined && isPattern === undefined) return [fileBeside(path, named)];
  const files = isPattern
    ? numberedFiles(path, pattern!, [first, last, step].map(Number))
    : linesOf(names).map((name) => fileBeside(path, name));
  const each = Number(axes || dimension || sizes.length - 1);
  // Files of as many axes as the volume are equal slabs of it.
  const count =
    each === sizes.length && sizes.at(-1)! % files.length === 0
      ? files.length
      : sizes.slice(each).reduce((a, b) => a * b, 1);
  return checkFiles(path, files, count);
}
