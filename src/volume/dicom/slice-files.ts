/**
 * Gives dcm2niix one small DICOM file for each slice: a header of ours, and the pixels of the scanner's file where they
 * lie. It sees an upright, even stack in the right order, and nothing that names a patient. So it only decodes.
 */
import type { PixelPlace } from './elements';
import type { DicomHeader, PixelFormat, Place } from './header';

type Range = readonly [at: number, end: number];

/** A slice of a series, and where its pixels lie. */
export interface Slice {
  /** The number of its file in the series. */
  readonly file: number;
  /** Counted from 0 in its file. */
  readonly frame: number;
  readonly position: Place;
  readonly format: PixelFormat;
  readonly slope: number;
  readonly intercept: number;
  /** Where the bytes of its pixels lie. Compressed ones may lie in several pieces. */
  readonly pixels: readonly Range[];
}

/** The content of a file: bytes of its own, and ranges of a file of the disk. */
export interface SliceFile {
  readonly path: string;
  readonly pieces: readonly (Uint8Array | Range)[];
}

const explicit = '1.2.840.10008.1.2.1';
const bigEndian = '1.2.840.10008.1.2.2';
/** Syntaxes of pixels that are not compressed; deflated files are inflated before. */
const plain = new Set(['1.2.840.10008.1.2', explicit, `${explicit}.99`, bigEndian]);

/** The slices of a file; undefined if it does not tell where each of them lies. */
export function slicesOf(header: DicomHeader, file: number): Slice[] | undefined {
  const { format, frames, positions, slopes, intercepts, place } = header;
  const isForAll = (values: readonly unknown[]) => values.length === 1 || values.length === frames;
  if (!place || positions.length !== frames || !isForAll(slopes) || !isForAll(intercepts)) return undefined;
  const slices: Slice[] = [];
  for (const [frame, position] of positions.entries()) {
    const pixels = pixelsOf(frame, frames, format, place);
    if (!pixels) return undefined;
    const [slope, intercept] = [slopes[frame] ?? slopes[0]!, intercepts[frame] ?? intercepts[0]!];
    slices.push({ file, frame, position, format, slope, intercept, pixels });
  }
  return slices;
}

/** The ranges of a frame's pixels; undefined if the file does not tell them. */
function pixelsOf(
  frame: number,
  frames: number,
  format: PixelFormat,
  place: PixelPlace,
): Range[] | undefined {
  const { at: start, bytes: length, pieces, offsets = [] } = place;
  if (!pieces) {
    const bytes = (format.rows * format.columns * format.allocated) / 8;
    const at = start + frame * bytes;
    return plain.has(format.syntax) && at + bytes <= start + length ? [[at, at + bytes]] : undefined;
  }
  const first = pieces[0]?.[0];
  if (first === undefined || plain.has(format.syntax)) return undefined;
  // A piece begins with a head of eight bytes.
  const contents = pieces.map(([at, end]): Range => [at + 8, end]);
  if (frames === 1) return contents;
  if (contents.length === frames) return [contents[frame]!];
  if (offsets.length !== frames) return undefined;
  const next = offsets[frame + 1] ?? Number.POSITIVE_INFINITY;
  return contents.filter(([at]) => at - 8 >= first + offsets[frame]! && at - 8 < first + next);
}

/** The file that dcm2niix sees of a slice, at place `index` of the stack. */
export function sliceFile(
  { format, slope, intercept, pixels }: Slice,
  path: string,
  index: number,
): SliceFile {
  const isPlain = plain.has(format.syntax);
  const syntax = !isPlain ? format.syntax : format.syntax === bigEndian ? bigEndian : explicit;
  const { numbers, texts } = elementWriter(syntax !== bigEndian);
  const header = [
    texts(0x0008, 0x0008, 'CS', 'ORIGINAL\\PRIMARY\\AXIAL'),
    texts(0x0008, 0x0016, 'UI', '1.2.840.10008.5.1.4.1.1.2'),
    texts(0x0008, 0x0018, 'UI', `1.2.3.${index + 1}`),
    texts(0x0008, 0x0060, 'CS', 'CT'),
    texts(0x0018, 0x0050, 'DS', '1'),
    texts(0x0020, 0x000d, 'UI', '1.2'),
    texts(0x0020, 0x000e, 'UI', '1.2.3'),
    texts(0x0020, 0x0011, 'IS', '1'),
    texts(0x0020, 0x0013, 'IS', `${index + 1}`),
    texts(0x0020, 0x0032, 'DS', `0\\0\\${index}`),
    texts(0x0020, 0x0037, 'DS', '1\\0\\0\\0\\1\\0'),
    numbers(0x0028, 0x0002, 1),
    texts(0x0028, 0x0004, 'CS', format.photometric),
    numbers(0x0028, 0x0010, format.rows),
    numbers(0x0028, 0x0011, format.columns),
    texts(0x0028, 0x0030, 'DS', '1\\1'),
    numbers(0x0028, 0x0100, format.allocated),
    numbers(0x0028, 0x0101, format.stored),
    numbers(0x0028, 0x0102, format.high),
    numbers(0x0028, 0x0103, format.signed ? 1 : 0),
    texts(0x0028, 0x1052, 'DS', decimal(intercept)),
    texts(0x0028, 0x1053, 'DS', decimal(slope)),
  ];
  const bytes = pixels.reduce((sum, [at, end]) => sum + end - at, 0);
  const head = longHead(0x7fe0, 0x0010, 'OW', isPlain ? bytes : 0xffffffff, syntax !== bigEndian);
  // Compressed pixels are an empty list of offsets, one piece and an end: dcm2niix does not join several.
  const before = isPlain ? [head] : [head, item(0xe000, 0), item(0xe000, bytes)];
  const start = Buffer.concat([...metaInformation(syntax), ...header, ...before]);
  return { path, pieces: isPlain ? [start, ...pixels] : [start, ...pixels, item(0xe0dd, 0)] };
}

function metaInformation(syntax: string): Buffer[] {
  const { texts } = elementWriter(true);
  const own = texts(0x0002, 0x0010, 'UI', syntax);
  const length = Buffer.from([2, 0, 0, 0, 0x55, 0x4c, 4, 0, own.length, 0, 0, 0]);
  return [Buffer.alloc(128), Buffer.from('DICM'), length, own];
}

function elementWriter(littleEndian: boolean) {
  const element = (group: number, number: number, kind: string, value: Buffer) => {
    const head = Buffer.alloc(8);
    for (const [at, short] of [
      [0, group],
      [2, number],
      [6, value.length],
    ] as const) {
      if (littleEndian) head.writeUInt16LE(short, at);
      else head.writeUInt16BE(short, at);
    }
    head.write(kind, 4, 'latin1');
    return Buffer.concat([head, value]);
  };
  return {
    texts(group: number, number: number, kind: string, value: string): Buffer {
      const filler = kind === 'UI' ? '\0' : ' ';
      return element(
        group,
        number,
        kind,
        Buffer.from(value.length % 2 === 0 ? value : value + filler, 'latin1'),
      );
    },
    numbers(group: number, number: number, value: number): Buffer {
      const short = Buffer.alloc(2);
      if (littleEndian) short.writeUInt16LE(value);
      else short.writeUInt16BE(value);
      return element(group, number, 'US', short);
    },
  };
}

/** An element's head with a length of four bytes. */
function longHead(
  group: number,
  number: number,
  kind: string,
  length: number,
  littleEndian: boolean,
): Buffer {
  const head = Buffer.alloc(12);
  head.write(kind, 4, 'latin1');
  if (littleEndian) {
    head.writeUInt16LE(group, 0);
    head.writeUInt16LE(number, 2);
    head.writeUInt32LE(length, 8);
  } else {
    head.writeUInt16BE(group, 0);
    head.writeUInt16BE(number, 2);
    head.writeUInt32BE(length, 8);
  }
  return head;
}

/** The head of an item, or the end of a list of items. */
function item(element: number, length: number): Buffer {
  const head = Buffer.from([0xfe, 0xff, element & 0xff, element >> 8, 0, 0, 0, 0]);
  head.writeUInt32LE(length, 4);
  return head;
}

/** A decimal string of at most 16 characters, as exact as it may be. */
function decimal(value: number): string {
  for (let digits = 17; digits > 0; digits--) {
    const text = String(Number(value.toPrecision(digits)));
    if (text.length <= 16) return text;
  }
  return '0';
}
