import { UnreadableFile } from '../../errors';
import { checkCount, checkPresence, fileBeside, listedFiles, numberedFiles } from './data-files';
import { axesIn } from './nrrd-axes';
import { Fields, headerOf, type ParsedText } from './text-header';
import type { VolumeFile, VoxelPlace } from './voxel-place';

/** NRRD's names of types. */
const datatypes = byName({
  int8: ['signed char', 'int8', 'int8_t'],
  uint8: ['uchar', 'unsigned char', 'uint8', 'uint8_t'],
  int16: ['short', 'short int', 'signed short', 'signed short int', 'int16', 'int16_t'],
  uint16: ['ushort', 'unsigned short', 'unsigned short int', 'uint16', 'uint16_t'],
  int32: ['int', 'signed int', 'int32', 'int32_t'],
  uint32: ['uint', 'unsigned int', 'uint32', 'uint32_t'],
  int64: [
    ...['longlong', 'long long', 'long long int', 'signed long long', 'signed long long int'],
    ...['int64', 'int64_t'],
  ],
  uint64: ['ulonglong', 'unsigned long long', 'unsigned long long int', 'uint64', 'uint64_t'],
  float32: ['float'],
  float64: ['double'],
});

/** NRRD's names of encodings. */
const packings = byName({
  none: ['raw'],
  deflate: ['gzip', 'gz'],
  text: ['txt', 'text', 'ascii'],
  hex: ['hex'],
} as const);

/** NRRD's fields. Another is a mistake: a misspelled direction would move the volume. */
const fieldNames = new Set(
  [
    ...['content', 'number', 'type', 'block size', 'dimension', 'space', 'space dimension', 'sizes'],
    ...['spacings', 'thicknesses', 'axis mins', 'axis maxs', 'space directions', 'centers', 'centerings'],
    ...['kinds', 'labels', 'units', 'min', 'max', 'old min', 'old max', 'endian', 'encoding', 'line skip'],
    ...['byte skip', 'sample units', 'space units', 'space origin', 'measurement frame', 'data file'],
  ].map((name) => name.replaceAll(' ', '')),
);

function byName<T extends string>(names: Readonly<Record<T, readonly string[]>>): ReadonlyMap<string, T> {
  const pairs = Object.entries(names) as [T, readonly string[]][];
  return new Map(pairs.flatMap(([known, synonyms]) => synonyms.map((name) => [name, known] as const)));
}

export function isNrrd(start: string): boolean {
  return /^NRRD\d{4}/.test(start);
}

/**
 * Parses an NRRD header (`.nrrd`, `.nhdr`) as ITK and 3D Slicer do. Undefined if the text ends before the header does.
 * @param text the file's first bytes as latin1, or all
 * @param isWhole whether `text` is all of the file
 * @throws UnreadableFile if the header contradicts itself or a voxel is more than one number
 */
export function parseNrrd(text: string, path: string, isWhole: boolean): VolumeFile | undefined {
  const parsed = parseLines(text, path, isWhole);
  if (!parsed) return undefined;
  const { fields } = parsed;
  const sizes = fields.sizes('dimension', 'sizes');
  const type = fields.need('type');
  const datatype = datatypes.get(type.toLowerCase());
  if (!datatype)
    return fields.refuse(`a type of NRRD with plain numbers: ${[...datatypes.keys()].join(', ')}`, type);
  const packing = packingIn(fields);
  const endian = fields.find('endian');
  const needsOrder = packing !== 'text' && !datatype.endsWith('int8');
  if (needsOrder && !/^(little|big)$/i.test(endian ?? ''))
    fields.refuse('the field endian, little or big', endian);
  const header = headerOf(
    {
      format: 'nrrd',
      datatype,
      littleEndian: !needsOrder || /^little$/i.test(endian!),
      description: fields.find('content') ?? '',
      ...axesIn(fields, sizes),
    },
    path,
  );
  return { header, voxels: () => voxelsOf(parsed, packing, sizes) };
}

/** The lines `field: value` up to an empty one, or to a list of files. */
function parseLines(text: string, path: string, isWhole: boolean): ParsedText | undefined {
  const fields = new Fields(path, 'NRRD');
  const [magic = ''] = text.split('\n', 1);
  if (!/^NRRD000[1-5]\s*$/.test(magic)) fields.refuse('NRRD0001 to NRRD0005', magic);
  for (let at = magic.length + 1; ; ) {
    const end = text.indexOf('\n', at);
    if (end < 0 && !isWhole) return undefined;
    const line = text.slice(at, end < 0 ? undefined : end).trimEnd();
    at = end < 0 ? text.length : end + 1;
    const parsed = () => ({ fields, length: at, rest: text.slice(at) });
    if (line === '') return parsed();
    // The pairs `key:=value` are free text of programs.
    if (/^(#|[^:]+:=)/.test(line)) continue;
    const [, name, value] = /^([^:]+):(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined)
      return fields.refuse('NRRD lines such as "dimension: 3", up to an empty one', line);
    if (!fieldNames.has(name.toLowerCase().replaceAll(' ', '')))
      return fields.refuse('fields of NRRD (the keys of a program have ":=" in place of ":")', name);
    if (fields.has(name.toLowerCase())) throw new UnreadableFile(path, 'each field once', `${name} twice`);
    fields.set(name.toLowerCase(), value.trim());
    if (/^data ?file$/i.test(name) && value.trim().startsWith('LIST')) return isWhole ? parsed() : undefined;
  }
}

function packingIn(fields: Fields): 'none' | 'deflate' | 'text' | 'hex' {
  const encoding = fields.need('encoding').toLowerCase();
  const packing = packings.get(encoding);
  if (packing) return packing;
  const expected = 'an encoding of raw, gzip, text or hex';
  if (!/^(bz2|bzip2|zrl)$/.test(encoding)) return fields.refuse(expected, encoding);
  const cure = 'write it as gzip, for example with `unu save -f nrrd -e gzip -i in.nrrd -o out.nrrd`';
  throw new UnreadableFile(fields.path, expected, `${encoding}; ${cure}`);
}

function voxelsOf(
  parsed: ParsedText,
  packing: 'none' | 'deflate' | 'text' | 'hex',
  sizes: readonly number[],
): VoxelPlace {
  const { fields, length } = parsed;
  const { path } = fields;
  const lines = fields.whole('line skip', 0, 0);
  const bytes = fields.whole('byte skip', 0, -1);
  if (bytes === -1 && (packing === 'text' || packing === 'hex'))
    fields.refuse('raw or gzip encoding with byte skip -1', fields.find('encoding'));
  // Bytes are skipped in what is decompressed, lines in the file itself.
  const place = {
    lines,
    packing,
    skip: packing === 'deflate' ? 0 : Math.max(0, bytes),
    offset: bytes === -1 ? 'end' : packing === 'deflate' ? bytes : 0,
  } as const;
  const named = fields.find('data file');
  if (named === undefined) return { ...place, start: length, files: [path] };
  return { ...place, start: 0, files: checkPresence(path, dataFiles(parsed, named, sizes), 'data file') };
}

/** The files that the field names: one, a list on the lines after it, or a pattern with numbers. */
function dataFiles({ fields, rest }: ParsedText, named: string, sizes: readonly number[]): readonly string[] {
  const { path } = fields;
  if (named.startsWith('SKIPLIST')) {
    const found = 'SKIPLIST; write the volume to one file, for example with `unu save`';
    throw new UnreadableFile(path, 'one byte skip for all data files', found);
  }
  const [isList, listAxes] = /^LIST\s*(\d*)$/.exec(named) ?? [];
  const [isPattern, pattern, first, last, step, patternAxes] =
    /^(.*%\d*[diu]\S*)\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)(?:\s+(\d+))?$/.exec(named) ?? [];
  if (isList === undefined && isPattern === undefined) return [fileBeside(path, named)];
  const files = isPattern
    ? numberedFiles(path, pattern!, [Number(first), Number(last), Number(step)])
    : listedFiles(path, rest);
  // Files of as many axes as the volume are equal slabs of it. Others are slices, one axis less by default.
  const axes = Number(listAxes || patternAxes || sizes.length - 1);
  const areSlabs = axes === sizes.length && sizes.at(-1)! % files.length === 0;
  return checkCount(path, files, areSlabs ? files.length : sizes.slice(axes).reduce((a, b) => a * b, 1));
}
