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
import { print } from './text-readers';
import type { VolumeFile, VoxelPlace } from './voxel-place';

/** MetaIO's types; its long has 4 bytes on every machine. */
const datatypes: Readonly<Record<string, string>> = {
  MET_CHAR: 'int8',
  MET_UCHAR: 'uint8',
  MET_SHORT: 'int16',
  MET_USHORT: 'uint16',
  MET_INT: 'int32',
  MET_UINT: 'uint32',
  MET_LONG: 'int32',
  MET_ULONG: 'uint32',
  MET_LONG_LONG: 'int64',
  MET_ULONG_LONG: 'uint64',
  MET_FLOAT: 'float32',
  MET_DOUBLE: 'float64',
};

/** Whether a file is MetaImage: by its first key, or by its name and a text. */
export function isMetaImage(start: string, path: string): boolean {
  return (
    /^\s*(ObjectType|NDims|Comment)\s*[=:]/.test(start) ||
    (/\.mh[ad]$/i.test(path) && /^\s*[A-Z]\w*\s*[=:]/.test(start))
  );
}

/**
 * Parses a MetaImage header (`.mhd`, `.mha`) as ITK does. Undefined if the text ends before the header does.
 * @param text the file's first bytes as latin1, or all
 * @throws UnreadableFile if the header contradicts itself or the voxels are no plain numbers
 */
export function parseMetaImage(text: string, path: string): VolumeFile | undefined {
  const lines = readLines(text, path);
  if (!lines) return undefined;
  const { fields, length } = lines;
  const find = (...names: readonly string[]) =>
    names.map((name) => fields.get(name)).find((value) => value !== undefined);
  const need = (name: string) => {
    const value = fields.get(name);
    if (value === undefined) throw new UnreadableFile(path, `a MetaImage header with ${name}`, 'none');
    return value;
  };
  const isOn = (value: string | undefined) => /^[Tt1]/.test(value ?? '');

  const type = find('ObjectType') ?? 'Image';
  if (!/^image$/i.test(type)) throw new UnreadableFile(path, 'a MetaImage of ObjectType Image', print(type));
  const axes = axisCount(path, 'NDims', need('NDims'));
  const sizes = numbersOf(path, 'DimSize', need('DimSize'), axes);
  const datatype = datatypes[need('ElementType').replace(/_ARRAY$/, '')];
  if (!datatype)
    throw new UnreadableFile(
      path,
      `an ElementType of ${Object.keys(datatypes).join(', ')}`,
      print(need('ElementType')),
    );
  checkValues(find, path);

  const mm = unitInMm(find('DistanceUnits'));
  const vector = (fallback: number, ...names: readonly string[]) => {
    const value = find(...names);
    return value === undefined
      ? new Array<number>(axes).fill(fallback)
      : numbersOf(path, names[0]!, value, axes);
  };
  const isNew = find('FileFormatVersion') === '1';
  const spacing = vector(1, 'ElementSpacing', 'ElementSize');
  const position = isNew
    ? vector(0, 'ElementOrigin', 'Offset')
    : vector(0, 'ImagePosition', 'Origin', 'Position', 'Offset');
  const matrix = isNew
    ? find('ElementDirection', 'TransformMatrix')
    : find('TransformMatrix', 'Rotation', 'Orientation');
  const turns = matrix === undefined ? undefined : numbersOf(path, 'TransformMatrix', matrix, axes * axes);
  /** A row of the matrix is the direction of an axis. */
  const step = (axis: number): Vec3 => {
    const [x, y, z] = [0, 1, 2].map((along) => {
      const turn = along < axes ? (turns?.[axis * axes + along] ?? Number(axis === along)) : 0;
      return turn * spacing[axis]! * mm;
    });
    return [x!, y!, z!];
  };
  const header = headerOf(
    {
      format: 'metaimage',
      sizes,
      datatype,
      littleEndian: !isOn(find('BinaryDataByteOrderMSB', 'ElementByteOrderMSB')) || isText(find),
      steps: [0, 1, 2].slice(0, axes).map(step),
      origin: [position[0]! * mm, position[1]! * mm, (position[2] ?? 0) * mm],
      description: find('Comment') ?? '',
    },
    path,
  );
  return {
    header,
    voxels: () => placeOf(find, need('ElementDataFile'), { path, sizes, length, names: text.slice(length) }),
  };
}

type Find = (...names: readonly string[]) => string | undefined;

/** The lines `Key = value` up to ElementDataFile, and the length of them all in bytes. */
function readLines(text: string, path: string): { fields: Map<string, string>; length: number } | undefined {
  const fields = new Map<string, string>();
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at);
    const line = text.slice(at, end < 0 ? undefined : end);
    at = end < 0 ? text.length : end + 1;
    if (line.trim() === '') continue;
    const [, key, value] = /^\s*([^=:]*?)\s*[=:]\s*(.*?)\s*$/.exec(line) ?? [];
    if (!key)
      throw new UnreadableFile(
        path,
        'MetaImage lines such as "NDims = 3", up to ElementDataFile',
        print(line),
      );
    fields.set(key, value!);
    if (key === 'ElementDataFile') return { fields, length: at };
  }
  return undefined;
}

function isText(find: Find): boolean {
  return !/^[Tt1]/.test(find('BinaryData') ?? 'True');
}

/** Refuses voxels that are more than one number, or that readers would scale differently. */
function checkValues(find: Find, path: string): void {
  const channels = wholeOf(path, 'ElementNumberOfChannels', find('ElementNumberOfChannels') ?? '1', 1);
  if (channels > 1) {
    const found = `${channels} channels; write one of them to a file of its own, for example with SimpleITK's VectorIndexSelectionCast`;
    throw new UnreadableFile(path, 'one number in each voxel', found);
  }
  const scale = (name: string, none: number) =>
    numbersOf(path, name, find(name) ?? String(none), 1)[0] === none ? [] : [name];
  const [name] = [
    ...scale('ElementToIntensityFunctionSlope', 1),
    ...scale('ElementToIntensityFunctionOffset', 0),
  ];
  if (name === undefined) return;
  const found = `${name} = ${find(name)}, which ITK ignores; apply it to the voxels, then remove the line`;
  throw new UnreadableFile(path, 'voxels that need no scaling', found);
}

/** Where the voxels are. */
function placeOf(
  find: Find,
  named: string,
  { path, sizes, length, names }: { path: string; sizes: readonly number[]; length: number; names: string },
): VoxelPlace {
  const headerSize = wholeOf(path, 'HeaderSize', find('HeaderSize') ?? '0', -1);
  const isPacked = /^[Tt1]/.test(find('CompressedData') ?? '') && !isText(find);
  const size = wholeOf(path, 'CompressedDataSize', find('CompressedDataSize') ?? '0', 0);
  const fromEnd = headerSize === -1;
  if (fromEnd && (isPacked || isText(find)))
    throw new UnreadableFile(
      path,
      'uncompressed voxels with HeaderSize = -1',
      isPacked ? 'CompressedData = True' : 'BinaryData = False',
    );
  const isLocal = /^local$/i.test(named);
  const place = {
    start: Math.max(headerSize, isLocal ? (headerSize > 0 ? 0 : length) : 0),
    lines: 0,
    skip: 0,
    packing: isText(find) ? 'text' : isPacked ? 'deflate' : 'none',
    ...(isPacked && size > 0 && { packedBytes: size }),
    offset: fromEnd ? 'end' : 0,
  } as const;
  if (isLocal) return { ...place, files: [path] };
  const files = dataFiles(named, { path, sizes, names });
  const [file] = files;
  if (files.length === 1 && !existsSync(file!) && existsSync(`${file}.gz`))
    return { ...place, files: [`${file}.gz`], packing: 'deflate' };
  const missing = files.find((one) => !existsSync(one));
  if (missing !== undefined)
    throw new UnreadableFile(
      path,
      `its voxels in ${missing} (ElementDataFile)`,
      'no such file; put it there',
    );
  return { ...place, files };
}

/** The files that ElementDataFile names: one, a list on the lines after it, or a pattern with numbers. */
function dataFiles(
  named: string,
  { path, sizes, names }: { path: string; sizes: readonly number[]; names: string },
): readonly string[] {
  const [, dimensions] = /^LIST\s*(\d*)D?$/.exec(named) ?? [];
  if (dimensions !== undefined) {
    const axes = Number(dimensions);
    const each = axes > 0 && axes < sizes.length ? axes : sizes.length - 1;
    const files = linesOf(names).map((name) => fileBeside(path, name));
    return checkFiles(
      path,
      files,
      sizes.slice(each).reduce((a, b) => a * b, 1),
    );
  }
  if (!/%\d*[diu]/.test(named)) return [fileBeside(path, named)];
  const count = sizes.at(-1)!;
  const [, pattern, first = '1', last, step = '1'] =
    /^(.*?)(?:\s+(-?\d+))?(?:\s+(-?\d+))?(?:\s+(-?\d+))?$/.exec(named)!;
  const numbers = [
    Number(first),
    last === undefined ? Number(first) + count - 1 : Number(last),
    Number(step),
  ];
  return checkFiles(path, numberedFiles(path, pattern!, numbers).slice(0, count), count);
}
