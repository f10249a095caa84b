/** Reads the elements of a DICOM file up to its pixels. It reads little more than the header from the disk. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';

/** A tag as one number: (0008,103E) is 0x0008103e. */
export type Tag = number;

/** Values of elements by tag, as stored. */
export interface Elements {
  readonly syntax: string;
  readonly littleEndian: boolean;
  /** Elements of the file itself. */
  readonly values: ReadonlyMap<Tag, Buffer>;
  /** Elements within the functional groups of a multi-frame file, in the order of the frames. */
  readonly framed: readonly (readonly [Tag, Buffer])[];
  /** Whether the file holds pixels, and all of them. */
  readonly pixels: 'none' | 'whole' | 'cut';
  /** Where they lie; undefined if there are none, or not all. */
  readonly place: PixelPlace | undefined;
  /** Of the file. */
  readonly bytes: number;
  readonly modified: number;
}

/** Where pixels lie in a file, or in the inflated copy of a deflated one. */
export interface PixelPlace {
  readonly at: number;
  readonly bytes: number;
  /** Of compressed pixels: the pieces with their heads, in bytes of the file. */
  readonly pieces?: readonly (readonly [at: number, end: number])[];
  /** Of compressed frames: where each begins, from the first piece on. Empty if the file does not tell. */
  readonly offsets?: readonly number[];
}

/** A file that is not DICOM, or damaged. Its message is the reason. */
export class NotDicom extends Error {}

/** The reason of a file whose first bytes are not DICOM's. */
export const notDicom = 'not DICOM';

const pixelData = 0x7fe00010;
const item = 0xfffee000;
const itemEnd = 0xfffee00d;
const sequenceEnd = 0xfffee0dd;
const undefinedLength = 0xffffffff;
const bigEndian = '1.2.840.10008.1.2.2';
const implicit = '1.2.840.10008.1.2';
const explicitLittleEndian = '1.2.840.10008.1.2.1';
/** All elements behind the meta information are explicit, little-endian, and deflated as one stream. */
export const deflated = `${explicitLittleEndian}.99`;
/** A file of more bytes is damage: deflated DICOM holds single slices and reports. */
const mostInflated = 2 ** 30;

/** Representations whose length takes four bytes. */
const longLengths = new Set('OB OD OF OL OV OW SQ SV UC UN UR UT UV'.split(' '));
/** A longer value of a wanted element is damage. */
const longestValue = 2 ** 16;
const deepest = 16;

/** Groups with which files begin that have no preamble, and elements of these groups that come first. */
const firstElements: Readonly<Record<number, readonly number[]>> = {
  2: [0, 1],
  8: [0, 1, 5, 8, 0x12, 0x16, 0x18],
};

/** Whether a file's first 132 bytes are DICOM's: with a preamble, or those of old files that begin with an element. */
export function looksLikeDicom(start: Uint8Array): boolean {
  if (Buffer.from(start.subarray(128, 132)).toString('latin1') === 'DICM') return true;
  const [group, zero, element, last] = start;
  return zero === 0 && last === 0 && (firstElements[group!]?.includes(element!) ?? false);
}

/**
 * Reads the wanted elements of a file. Throws NotDicom if it is not DICOM or its header is damaged, and the system's error
 * if it cannot be read.
 */
export function readElements(path: string, wanted: ReadonlySet<Tag>): Elements {
  const file = openSync(path, 'r');
  try {
    return new ElementReader(file, wanted).read();
  } finally {
    closeSync(file);
  }
}

/** A deflated file as it would be without compression; undefined if it is not deflated. Errors are those of `readElements`. */
export function inflateFile(path: string): Buffer | undefined {
  const file = openSync(path, 'r');
  try {
    return new ElementReader(file, new Set()).inflated();
  } finally {
    closeSync(file);
  }
}

interface Head {
  readonly tag: Tag;
  readonly representation: string;
  readonly length: number;
}

class ElementReader {
  private readonly values = new Map<Tag, Buffer>();
  private readonly framed: [Tag, Buffer][] = [];
  /** Of the file, or of what is inflated. */
  private bytes: number;
  private readonly modified: number;
  private block = Buffer.alloc(0);
  private blockAt = 0;
  private at = 0;
  private littleEndian = true;
  private explicit = true;
  private place: PixelPlace | undefined;

  constructor(
    private readonly file: number,
    private readonly wanted: ReadonlySet<Tag>,
  ) {
    const { size, mtimeMs } = fstatSync(file);
    [this.bytes, this.modified] = [size, mtimeMs];
  }

  read(): Elements {
    const { bytes, modified } = this;
    const syntax = this.readMeta();
    if (syntax === deflated) this.inflate();
    const { values, framed, littleEndian } = this;
    const pixels = this.readFile();
    return {
      syntax,
      values,
      framed,
      pixels,
      place: this.place,
      littleEndian: littleEndian && this.littleEndian,
      bytes,
      modified,
    };
  }

  inflated(): Buffer | undefined {
    if (this.readMeta() !== deflated) return undefined;
    const meta = Buffer.from(this.peek(0, this.at));
    const name = meta.indexOf(deflated, 'latin1');
    meta.fill(0, name + explicitLittleEndian.length, name + deflated.length);
    this.inflate();
    return Buffer.concat([meta, this.block]);
  }

  /** Inflates the rest of the file, which takes its place. */
  private inflate(): void {
    try {
      const rest = this.peek(this.at, this.bytes - this.at);
      this.block = inflateRawSync(rest, { maxOutputLength: mostInflated });
    } catch (error) {
      const isCut = (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR';
      throw new NotDicom(isCut ? 'cut short' : 'damaged deflated data');
    }
    [this.blockAt, this.bytes] = [this.at, this.at + this.block.length];
  }

  /** Reads the meta information and returns the transfer syntax. */
  private readMeta(): string {
    const start = this.peek(0, Math.min(132, this.bytes));
    if (!looksLikeDicom(start)) throw new NotDicom(notDicom);
    const hasPreamble = start.toString('latin1', 128) === 'DICM';
    this.at = hasPreamble ? 132 : 0;
    return this.readSyntax();
  }

  /** The file meta information. It is always explicit and little-endian. */
  private readSyntax(): string {
    let syntax: string | undefined;
    while (this.at + 8 <= this.bytes && this.peek(this.at, 2).readUInt16LE() === 2) {
      const { tag, length } = this.head();
      if (tag === 0x00020010) syntax = text(this.value(length));
      else this.at += length;
    }
    // Without it, letters where a representation stands tell.
    this.explicit =
      syntax === undefined
        ? /^[A-Z]{2}$/.test(this.peek(this.at + 4, 2).toString('latin1'))
        : syntax !== implicit;
    this.littleEndian = syntax !== bigEndian;
    return syntax ?? (this.explicit ? '1.2.840.10008.1.2.1' : implicit);
  }

  private readFile(): Elements['pixels'] {
    while (this.at + 8 <= this.bytes) {
      const head = this.head();
      if (head.tag === pixelData) return this.pixelsAre(head);
      // Elements are in ascending order.
      if (head.tag > pixelData) return 'none';
      this.element(head, 0, false);
    }
    return 'none';
  }

  /** Whether the pixels are all there. Compressed ones are a list of pieces with an end; the first holds offsets. */
  private pixelsAre({ length }: Head): Elements['pixels'] {
    const { at } = this;
    if (length !== undefinedLength) {
      if (at + length > this.bytes) return 'cut';
      this.place = { at, bytes: length };
      return 'whole';
    }
    const pieces: [number, number][] = [];
    let offsets: number[] | undefined;
    while (this.at + 8 <= this.bytes) {
      const start = this.at;
      const piece = this.head();
      if (piece.tag === sequenceEnd) {
        this.place = { at, bytes: start - at, pieces, offsets };
        return 'whole';
      }
      if (piece.tag !== item || piece.length === undefinedLength) return 'cut';
      if (offsets) pieces.push([start, this.at + piece.length]);
      else if (this.at + piece.length <= this.bytes) offsets = this.offsets(piece.length);
      this.at = start + 8 + piece.length;
    }
    return 'cut';
  }

  private offsets(length: number): number[] {
    const table = this.peek(this.at, length);
    return Array.from({ length: Math.floor(length / 4) }, (_, n) => table.readUInt32LE(4 * n));
  }

  /** Passes over an element after its head, and keeps its value if it is wanted. */
  private element(head: Head, depth: number, inFrames: boolean): void {
    const { tag, representation, length } = head;
    const isFrames = tag === 0x52009229 || tag === 0x52009230;
    if (length === undefinedLength) this.sequence(depth + 1, inFrames || isFrames, representation === 'UN');
    else if ((isFrames || (inFrames && representation === 'SQ')) && length > 0)
      this.sequence(depth + 1, true, false, this.at + length);
    else if (this.wanted.has(tag) && (depth === 0 || inFrames)) {
      const value = this.value(length);
      if (inFrames) this.framed.push([tag, value]);
      else if (depth === 0) this.values.set(tag, value);
    } else if (inFrames && !this.explicit && this.startsItem(length))
      this.sequence(depth + 1, true, false, this.at + length);
    else this.skip(length);
  }

  /** Whether an implicit element is a sequence: its value begins with an item. */
  private startsItem(length: number): boolean {
    return length >= 8 && this.peek(this.at, 4).readUInt32LE() === 0xe000fffe;
  }

  private sequence(depth: number, inFrames: boolean, unknown: boolean, end = this.bytes): void {
    if (depth > deepest) throw new NotDicom('a damaged header: its sequences are too deep');
    const { explicit } = this;
    // The content of an unknown element is always implicit.
    if (unknown) this.explicit = false;
    while (this.at + 8 <= end) {
      const head = this.head();
      if (head.tag === sequenceEnd) break;
      if (head.tag !== item) throw new NotDicom('a damaged header: a sequence without items');
      const itemStop = head.length === undefinedLength ? end : this.at + head.length;
      while (this.at + 8 <= itemStop) {
        const inner = this.head();
        if (inner.tag === itemEnd) break;
        this.element(inner, depth, inFrames);
      }
    }
    this.explicit = explicit;
  }

  private head(): Head {
    const bytes = this.peek(this.at, 8);
    const short = (at: number) => (this.littleEndian ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at));
    const long = (from: Buffer, at: number) =>
      this.littleEndian ? from.readUInt32LE(at) : from.readUInt32BE(at);
    const tag = short(0) * 0x10000 + short(2);
    this.at += 8;
    const group = short(0);
    if (group === 0xfffe || (!this.explicit && group !== 2))
      return { tag, representation: '', length: long(bytes, 4) };
    const representation = bytes.toString('latin1', 4, 6);
    if (!/^[A-Z]{2}$/.test(representation)) throw new NotDicom('a damaged header');
    if (!longLengths.has(representation)) return { tag, representation, length: short(6) };
    const length = long(this.peek(this.at, 4), 0);
    this.at += 4;
    return { tag, representation, length };
  }

  private value(length: number): Buffer {
    if (length > longestValue) throw new NotDicom('a damaged header: a value is too long');
    const value = Buffer.from(this.peek(this.at, length));
    this.at += length;
    return value;
  }

  private skip(length: number): void {
    this.at += length;
    if (this.at > this.bytes) throw new NotDicom('cut short');
  }

  /** Bytes of the file, by blocks. */
  private peek(at: number, length: number): Buffer {
    if (at + length > this.bytes) throw new NotDicom('cut short');
    if (at < this.blockAt || at + length > this.blockAt + this.block.length) {
      const block = Buffer.alloc(Math.min(Math.max(length, 2 ** 14), this.bytes - at));
      const read = readSync(this.file, block, 0, block.length, at);
      if (read < length) throw new NotDicom('cut short');
      [this.block, this.blockAt] = [block.subarray(0, read), at];
    }
    return this.block.subarray(at - this.blockAt, at - this.blockAt + length);
  }
}

/** A value as text, without its padding. */
export function text(value: Buffer | undefined, encoding: BufferEncoding = 'latin1'): string {
  return (value?.toString(encoding) ?? '').replace(/[\0 ]+$/, '').trim();
}
