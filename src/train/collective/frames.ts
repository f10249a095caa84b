import type { Socket } from 'node:net';
import { attempt } from '../../errors';

const kinds = ['hello', 'operation', 'abort', 'bye'] as const;

/** The description of a message. Its `bytes` follow it: float32, little-endian. */
export interface FrameHeader {
  readonly kind: (typeof kinds)[number];
  readonly rank: number;
  readonly bytes: number;
  /** Number of the operation. */
  readonly sequence?: number;
  /** Such as `allReduce gradients`. */
  readonly operation?: string;
  /** Lengths of the arrays, in numbers. */
  readonly lengths?: readonly number[];
  readonly reason?: string;
  readonly worldSize?: number;
}

export interface Frame {
  readonly header: FrameHeader;
  readonly payload: Float32Array;
}

interface FrameListener {
  /** Returns true if it takes the frame, so that `receive` does not. */
  take(header: FrameHeader, from: FrameChannel): boolean;
  /** The connection has ended. */
  lost(channel: FrameChannel, error: Error): void;
}

/** Frames on a socket: 4 bytes for the length of the header, the header as JSON, then the numbers. */
export class FrameChannel {
  private readonly frames: Frame[] = [];
  private waiting: { resolve: (frame: Frame) => void; reject: (error: Error) => void } | undefined;
  private closed: Error | undefined;

  constructor(
    readonly socket: Socket,
    private readonly listener: FrameListener,
  ) {
    const parser = this.parse();
    parser.next();
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      try {
        parser.next(chunk);
      } catch (error) {
        this.end(error as Error);
      }
    });
    socket.on('error', (error) => this.end(error));
    socket.on('close', () => this.end(new Error('the connection was closed')));
  }

  /** Returns when the arrays may be changed again. */
  send(header: Omit<FrameHeader, 'bytes'>, arrays: readonly Float32Array[] = []): Promise<void> {
    const bytes = arrays.reduce((sum, array) => sum + array.byteLength, 0);
    const text = Buffer.from(JSON.stringify({ ...header, bytes }));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(this.closed);
      const parts = [
        Buffer.concat([length, text]),
        ...arrays.filter((array) => array.length > 0).map(asBytes),
      ];
      this.socket.cork();
      for (const part of parts.slice(0, -1)) this.socket.write(part);
      this.socket.write(parts.at(-1)!, (error) => (error ? reject(error) : resolve()));
      this.socket.uncork();
    });
  }

  /** The next frame. One caller at a time. */
  receive(): Promise<Frame> {
    const frame = this.frames.shift();
    if (frame) return Promise.resolve(frame);
    if (this.closed) return Promise.reject(this.closed);
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
  }

  /** Takes a chunk at every `next`, and delivers frames. The numbers are copied once, into the array that is handed on. */
  private *parse(): Generator<undefined, never, Buffer> {
    let rest: Buffer = Buffer.alloc(0);
    function* fill<T extends Uint8Array>(bytes: T): Generator<undefined, T, Buffer> {
      for (let filled = 0; filled < bytes.length; ) {
        if (rest.length === 0) rest = yield;
        const part = rest.subarray(0, bytes.length - filled);
        bytes.set(part, filled);
        filled += part.length;
        rest = rest.subarray(part.length);
      }
      return bytes;
    }
    for (;;) {
      const length = (yield* fill(Buffer.alloc(4))).readUInt32LE(0);
      if (length > longestHeader) throw notAFrame();
      const header = parseHeader((yield* fill(Buffer.alloc(length))).toString());
      if (!header) throw notAFrame();
      const payload = allocate(header.bytes);
      yield* fill(asBytes(payload));
      this.deliver({ header, payload });
    }
  }

  private deliver(frame: Frame): void {
    if (this.listener.take(frame.header, this)) return;
    if (this.waiting) {
      const { resolve } = this.waiting;
      this.waiting = undefined;
      resolve(frame);
    } else this.frames.push(frame);
  }

  /** The other end sends nothing more. `receive` gives the frames that have come, then throws the error. */
  finish(error: Error): void {
    this.closed = error;
    this.waiting?.reject(error);
    this.waiting = undefined;
  }

  private end(error: Error): void {
    if (this.closed) return;
    this.finish(error);
    this.socket.destroy();
    this.listener.lost(this, error);
  }
}

const longestHeader = 2 ** 20;
const notAFrame = () => new Error('what came is not a frame');

/** A header whose size follows from the lengths that it names; undefined for any other text. */
function parseHeader(text: string): FrameHeader | undefined {
  const header = attempt(() => JSON.parse(text) as FrameHeader | null);
  if (!header) return undefined;
  const { kind, rank, bytes, lengths = [] } = header;
  if (!kinds.includes(kind) || !isCount(rank) || !isCount(bytes)) return undefined;
  if (!Array.isArray(lengths) || !lengths.every(isCount)) return undefined;
  // A rank that only receives a broadcast names the lengths and sends nothing.
  const named = kind === 'operation' ? 4 * lengths.reduce((sum, length) => sum + length, 0) : 0;
  return bytes === 0 || bytes === named ? header : undefined;
}

function allocate(bytes: number): Float32Array {
  try {
    return new Float32Array(bytes / 4);
  } catch {
    throw new Error(`no memory for a frame of ${bytes} bytes`);
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function asBytes(array: Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
