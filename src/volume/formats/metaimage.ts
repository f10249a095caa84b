import { existsSync } from 'node:fs';
import { UnreadableFile } from '../../errors';
import type { Vec3 } from '../../vec3';
import { checkCount, checkPresence, fileBeside, listedFiles, numberedFiles } from './data-files';
import { type DicomPlace, Fields, headerOf, type ParsedText, unitInMm } from './text-header';
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

/** Whether a file is MetaImage: by its first key, or by its name and a key. */
export function isMetaImage(start: string, path: string): boolean {
  const [, key] = /^\s*([A-Z]\w*)\s*[=:]/.exec(start) ?? [];
  return key !== undefined && (['ObjectType', 'NDims', 'Comment'].includes(key) || /\.mh[ad]$/i.test(path));
}

/**
 * Parses a MetaImage header (`.mhd`, `.mha`) as ITK does. Undefined if the text ends before the header does.
 * @param text the file's first bytes as latin1, or all
 * @throws UnreadableFile if the header contradicts itself or a voxel is more than one number
 */
export function parseMetaImage(text: string, path: string): VolumeFile | undefined {
  const parsed = parseLines(text, path);
  if (!parsed) return undefined;
  const { fields } = parsed;
  const type = fields.find('ObjectType') ?? 'Image';
  if (!/^image$/i.test(type)) fields.refuse('a MetaImage of ObjectType Image', type);
  const sizes = fields.sizes('NDims', 'DimSize');
  const element = fields.need('ElementType');
  const datatype = datatypes[element.replace(/_ARRAY$/, '')];
  if (!datatype) return fields.refuse(`an ElementType of ${Object.keys(datatypes).join(', ')}`, element);
  checkValues(fields);
  const isBig = isTrue(fields.find('BinaryDataByteOrderMSB', 'ElementByteOrderMSB'));
  const header = headerOf(
    {
      format: 'metaimage',
      sizes,
      datatype,
      littleEndian: !isBig || isText(fields),
      description: fields.find('Comment') ?? '',
      ...placeIn(fields, sizes.length),
    },
    path,
  );
  return { header, voxels: () => voxelsOf(parsed, sizes) };
}

/** The lines `Key = value` up to ElementDataFile. */
function parseLines(text: string, path: string): ParsedText | undefined {
  const fields = new Fields(path, 'MetaImage');
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at);
    const line = text.slice(at, end < 0 ? undefined : end);
    at = end < 0 ? text.length : end + 1;
    if (line.trim() === '') continue;
    const [, key, value] = /^\s*([^=:]*?)\s*[=:]\s*(.*?)\s*$/.exec(line) ?? [];
    if (!key) return fields.refuse('MetaImage lines such as "NDims = 3", up to ElementDataFile', line);
    fields.set(key, value!);
    if (key === 'ElementDataFile') return { fields, length: at, rest: text.slice(at) };
  }
  return undefined;
}

/** MetaIO looks at the first letter alone. */
function isTrue(value: string | undefined): boolean {
  return /^[Tt1]/.test(value ?? '');
}

/** Whether voxels are decimal numbers. */
function isText(fields: Fields): boolean {
  return !isTrue(fields.find('BinaryData') ?? 'True');
}

/** Refuses voxels that are more than one number, or that readers would scale differently. */
function checkValues(fields: Fields): void {
  const channels = fields.whole('ElementNumberOfChannels', 1, 1);
  if (channels > 1) {
    const cure =
      "write one of them to a file of its own, for example with SimpleITK's VectorIndexSelectionCast";
    throw new UnreadableFile(fields.path, 'one number in each voxel', `${channels} channels; ${cure}`);
  }
  const scales = [
    ['ElementToIntensityFunctionSlope', 1],
    ['ElementToIntensityFunctionOffset', 0],
  ] as const;
  for (const [name, none] of scales) {
    const [value] = fields.numbers(1, name) ?? [none];
    if (value === none) continue;
    const found = `${name} = ${value}, which ITK ignores; apply it to the voxels, then remove the line`;
    throw new UnreadableFile(fields.path, 'voxels that need no scaling', found);
  }
}

/** Synonyms come in the order in which MetaIO lets one win over another. */
function placeIn(fields: Fields, axes: number): DicomPlace {
  const isNew = fields.find('FileFormatVersion') === '1';
  const mm = unitInMm(fields.find('DistanceUnits'));
  const spacing = fields.numbers(axes, 'ElementSpacing', 'ElementSize');
  const position = isNew
    ? fields.numbers(axes, 'ElementOrigin', 'Offset')
    : fields.numbers(axes, 'ImagePosition', 'Origin', 'Position', 'Offset');
  const matrix = isNew
    ? fields.numbers(axes * axes, 'ElementDirection', 'TransformMatrix')
    : fields.numbers(axes * axes, 'TransformMatrix', 'Rotation', 'Orientation');
  /** A row of the matrix is the direction of an axis. */
  const step = (axis: number): Vec3 => {
    const turn = (along: number) =>
      along < axes ? (matrix?.[axis * axes + along] ?? Number(axis === along)) : 0;
    const size = (spacing?.[axis] ?? 1) * mm;
    return [turn(0) * size, turn(1) * size, turn(2) * size];
  };
  const start = (axis: number) => (position?.[axis] ?? 0) * mm;
  return { steps: [0, 1, 2].slice(0, axes).map(step), origin: [start(0), start(1), start(2)] };
}

function voxelsOf(parsed: ParsedText, sizes: readonly number[]): VoxelPlace {
  const { fields, length } = parsed;
  const { path } = fields;
  const headerSize = fields.whole('HeaderSize', 0, -1);
  const isPacked = isTrue(fields.find('CompressedData')) && !isText(fields);
  const packedBytes = fields.whole('CompressedDataSize', 0, 0);
  if (headerSize === -1 && (isPacked || isText(fields)))
    fields.refuse(
      'uncompressed voxels with HeaderSize = -1',
      isPacked ? 'CompressedData' : 'BinaryData = False',
    );
  const named = fields.need('ElementDataFile');
  const isLocal = /^local$/i.test(named);
  const place = {
    // A given size counts from the start of the file, also of one with a header.
    start: headerSize > 0 ? headerSize : isLocal ? length : 0,
    lines: 0,
    skip: 0,
    packing: isText(fields) ? 'text' : isPacked ? 'deflate' : 'none',
    ...(isPacked && packedBytes > 0 && { packedBytes }),
    offset: headerSize === -1 ? 'end' : 0,
  } as const;
  if (isLocal) return { ...place, files: [path] };
  const files = dataFiles(parsed, named, sizes);
  const [file] = files;
  if (files.length === 1 && !existsSync(file!) && existsSync(`${file}.gz`))
    return { ...place, files: [`${file}.gz`], packing: 'deflate' };
  return { ...place, files: checkPresence(path, files, 'ElementDataFile') };
}

/** The files that ElementDataFile names: one, a list on the lines after it, or a pattern with numbers. */
function dataFiles({ fields, rest }: ParsedText, named: string, sizes: readonly number[]): readonly string[] {
  const { path } = fields;
  const [, dimensions] = /^LIST\s*(\d*)D?$/.exec(named) ?? [];
  if (dimensions !== undefined) {
    const axes = Number(dimensions);
    const each = axes > 0 && axes < sizes.length ? axes : sizes.length - 1;
    const count = sizes.slice(each).reduce((a, b) => a * b, 1);
    return checkCount(path, listedFiles(path, rest), count);
  }
  if (!/%\d*[diu]/.test(named)) return [fileBeside(path, named)];
  const count = sizes.at(-1)!;
  const [, pattern, first = '1', last, step = '1'] =
    /^(.*?)(?:\s+(-?\d+))?(?:\s+(-?\d+))?(?:\s+(-?\d+))?$/.exec(named) ?? [];
  if (pattern === undefined) return fields.refuse('the name of a file with voxels', print(named));
  const from = Number(first);
  const to = last === undefined ? from + count - 1 : Number(last);
  // MetaIO reads as many as the last axis is long.
  return checkCount(path, numberedFiles(path, pattern, [from, to, Number(step)]).slice(0, count), count);
}
