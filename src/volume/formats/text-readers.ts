/** Reads voxels that a file stores as text: decimal numbers or hexadecimal digits. */
import { UnreadableFile } from '../../errors';
import { type ComponentType, componentBytes } from '../base/datatypes';
import { ByteReader } from './bytes';

const chunkBytes = 2 ** 16;

/** The place in a file after so many lines from `start` on. Throws UnreadableFile if it has fewer. */
export async function pastLines(
  path: string,
  start: number,
  lines: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  if (lines === 0) return start;
  const reader = await ByteReader.open(path, signal, { start, packing: 'none' });
  try {
    const chunk = new Uint8Array(chunkBytes);
    let at = start;
    for (let left = lines; left > 0; ) {
      signal?.throwIfAborted();
      const length = await reader.read(chunk);
      if (length === 0) throw new UnreadableFile(path, `${lines} lines before the voxels`, `${lines - left}`);
      let from = 0;
      for (; left > 0; left--) {
        const end = chunk.subarray(0, length).indexOf(10, from);
        if (end < 0) break;
        from = end + 1;
      }
      at += left > 0 ? length : from;
    }
    return at;
  } finally {
    await reader.close();
  }
}

/** What the reader of voxels needs of a stream of bytes. */
export type ByteSource = Pick<
  ByteReader,
  'path' | 'fileBytes' | 'atMost' | 'read' | 'skip' | 'finish' | 'close'
>;

/** Reads a text in chunks and decodes it to bytes. */
abstract class TextReader implements ByteSource {
  private readonly chunk = new Uint8Array(chunkBytes);

  constructor(protected readonly text: ByteReader) {}

  get path(): string {
    return this.text.path;
  }

  get fileBytes(): number {
    return this.text.fileBytes;
  }

  abstract get atMost(): number;
  abstract read(target: Uint8Array): Promise<number>;

  async skip(count: number): Promise<void> {
    const scratch = new Uint8Array(chunkBytes);
    for (let left = count; left > 0; ) {
      const length = await this.read(scratch.subarray(0, Math.min(left, chunkBytes)));
      if (length === 0) break;
      left -= length;
    }
  }

  async finish(): Promise<void> {}

  async close(): Promise<void> {
    await this.text.close();
  }

  /** The next chunk of text; empty at the end. */
  protected async nextChunk(): Promise<Uint8Array> {
    return this.chunk.subarray(0, await this.text.read(this.chunk));
  }
}

/** Decodes two hexadecimal digits a byte, with white space anywhere. */
export class HexReader extends TextReader {
  private rest: Uint8Array = new Uint8Array(0);
  private high = -1;

  override get atMost(): number {
    return Math.floor(this.text.atMost / 2);
  }

  override async read(target: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      if (this.rest.length === 0) this.rest = await this.nextChunk();
      if (this.rest.length === 0) break;
      let used = 0;
      while (used < this.rest.length && filled < target.length) {
        const digit = this.digit(this.rest[used++]!);
        if (digit === undefined) continue;
        if (this.high < 0) this.high = digit;
        else {
          target[filled++] = 16 * this.high + digit;
          this.high = -1;
        }
      }
      this.rest = this.rest.subarray(used);
    }
    return filled;
  }

  private digit(code: number): number | undefined {
    if (code <= 32) return undefined;
    const digit = Number.parseInt(String.fromCharCode(code), 16);
    if (!Number.isNaN(digit)) return digit;
    throw new UnreadableFile(this.path, 'hexadecimal digits', print(String.fromCharCode(code)));
  }
}

/** A number with fewer characters can be parsed; a longer one is no number. */
const longestNumber = 400;

/** Decodes decimal numbers, between white space or commas, to little-endian components. */
export class NumberReader extends TextReader {
  private numbers: string[] = [];
  private next = 0;
  private cut = '';
  private readonly size: number;

  constructor(
    text: ByteReader,
    private readonly type: ComponentType,
  ) {
    super(text);
    this.size = componentBytes(type);
  }

  override get atMost(): number {
    return Math.ceil(this.text.atMost / 2) * this.size;
  }

  /** `target` holds whole components. */
  override async read(target: Uint8Array): Promise<number> {
    const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
    let filled = 0;
    while (filled < target.length && (await this.more())) {
      const value = this.numbers[this.next++]!;
      if (!writers[this.type](view, filled, value))
        throw new UnreadableFile(this.path, `numbers that ${this.type} holds`, print(value));
      filled += this.size;
    }
    return filled;
  }

  /** Makes sure that there is a next number. Returns false at the end of the text. */
  private async more(): Promise<boolean> {
    while (this.next === this.numbers.length) {
      const chunk = await this.nextChunk();
      const text = this.cut + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1');
      if (text === '') return false;
      this.numbers = text.split(/[\s,]+/);
      // The last number may go on in the next chunk.
      this.cut = chunk.length === 0 ? '' : this.numbers.pop()!;
      if (this.cut.length > longestNumber)
        throw new UnreadableFile(this.path, 'numbers with white space between them', print(this.cut));
      this.numbers = this.numbers.filter((number) => number !== '');
      this.next = 0;
    }
    return true;
  }
}

const whole = /^[+-]?\d+(\.0*)?$/;

/** Writes a number of text; false if the type cannot hold it. */
type Writer = (view: DataView, at: number, text: string) => boolean;

function wholeWriter(
  least: number,
  greatest: number,
  set: (view: DataView, at: number, value: number) => void,
): Writer {
  return (view, at, text) => {
    const value = Number(text);
    if (!whole.test(text) || value < least || value > greatest) return false;
    set(view, at, value);
    return true;
  };
}

function bigWriter(wrap: (value: bigint) => bigint, method: 'setBigInt64' | 'setBigUint64'): Writer {
  return (view, at, text) => {
    if (!/^[+-]?\d+$/.test(text)) return false;
    const value = BigInt(text.replace('+', ''));
    if (wrap(value) !== value) return false;
    view[method](at, value, true);
    return true;
  };
}

function realWriter(method: 'setFloat32' | 'setFloat64'): Writer {
  return (view, at, text) => {
    const value = parseReal(text);
    if (value === undefined) return false;
    view[method](at, value, true);
    return true;
  };
}

const writers: Readonly<Record<ComponentType, Writer>> = {
  int8: wholeWriter(-128, 127, (view, at, value) => view.setInt8(at, value)),
  uint8: wholeWriter(0, 255, (view, at, value) => view.setUint8(at, value)),
  int16: wholeWriter(-32768, 32767, (view, at, value) => view.setInt16(at, value, true)),
  uint16: wholeWriter(0, 65535, (view, at, value) => view.setUint16(at, value, true)),
  int32: wholeWriter(-(2 ** 31), 2 ** 31 - 1, (view, at, value) => view.setInt32(at, value, true)),
  uint32: wholeWriter(0, 2 ** 32 - 1, (view, at, value) => view.setUint32(at, value, true)),
  int64: bigWriter((value) => BigInt.asIntN(64, value), 'setBigInt64'),
  uint64: bigWriter((value) => BigInt.asUintN(64, value), 'setBigUint64'),
  float32: realWriter('setFloat32'),
  float64: realWriter('setFloat64'),
};

/** A number as C prints it, with nan and inf; undefined for other text. */
export function parseReal(text: string): number | undefined {
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
  if (/^[+-]?nan$/i.test(text)) return Number.NaN;
  const infinite = /^([+-]?)inf(inity)?$/i.exec(text);
  if (!infinite) return undefined;
  return infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** Text of a file for a message: short, without control characters. */
export function print(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return JSON.stringify(short.replace(/[^\x20-\x7e\xa0-\uffff]/g, '?'));
}
