import type { Socket } from 'node:net';

/** What a message says beside its numbers. `bytes` follow it, float32 little-endian. */
export interface FrameHeader {
  readonly kind: 'hello' | 'operation' | 'abort' | 'bye';
  readonly rank: number;
  readonly bytes: number;
  /** The n-th operation of this collective. */
  readonly sequence?: number;
  /** Such as `allReduce gradients`. */
  readonly operation?: string;
  /** Lengths of the arrays, in numbers. */
  readonly lengths?: readonly number[];
  readonly reason?: string;
  readonly worldSize?: number;
}

const kinds: readonly FrameHeader['kind'][] = ['hello', 'operation', 'abort', 'bye'];

export interface Frame {
  readonly header: FrameHeader;
  readonly payload: Float32Array;
}

/**
 * Length-prefixed frames on a socket: 4 bytes length of the header, the header as JSON, then the payload, which is
 * received straight into the array that is handed on.
 */
export class FrameChannel {
  private pending: Buffer = Buffer.alloc(0);
  private header: FrameHeader | undefined;
  private payload = new Uint8Array(0);
  private filled = 0;
  private readonly frames: Frame[] = [];
  private waiting: { resolve: (frame: Frame) => void; reject: (error: Error) => void } | undefined;
  private finished: Error | undefined;
  private closed: Error | undefined;

  constructor(
    readonly socket: Socket,
    private readonly events: { onFrame?: (frame: Frame) => boolean; onClose?: (error: Error) => void } = {},
  ) {
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.take(chunk));
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
    const over = this.finished ?? this.closed;
    if (over) return Promise.reject(over);
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
  }

  /** The other end will send nothing more: who waits for a frame now, or after those that are here, gets the error. */
  finish(error: Error): void {
    this.finished = error;
    this.waiting?.reject(error);
    this.waiting = undefined;
  }

  private take(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.header) {
        const wanted = Math.min(rest.length, this.payload.length - this.filled);
        this.payload.set(rest.subarray(0, wanted), this.filled);
        this.filled += wanted;
        rest = rest.subarray(wanted);
      } else {
        this.pending = Buffer.concat([this.pending, rest]);
        rest = this.takeHeader();
      }
      if (this.header && this.filled === this.payload.length) this.deliver(this.header);
    }
  }

  /** Reads a header off `pending`, once it is whole; returns what follows it. */
  private takeHeader(): Buffer {
    const nothing = Buffer.alloc(0);
    if (this.pending.length < 4) return nothing;
    const end = 4 + this.pending.readUInt32LE(0);
    if (end <= longestHeader && this.pending.length < end) return nothing;
    const header = end <= longestHeader ? parseHeader(this.pending.toString('utf8', 4, end)) : undefined;
    if (!header) {
      this.end(new Error('what came is not a frame'));
      return nothing;
    }
    const rest = this.pending.subarray(end);
    try {
      this.payload = new Uint8Array(header.bytes);
    } catch {
      this.end(new Error(`no memory for a frame of ${header.bytes} bytes`));
      return nothing;
    }
    this.header = header;
    this.pending = nothing;
    this.filled = 0;
    return rest;
  }

  private deliver(header: FrameHeader): void {
    const frame = { header, payload: new Float32Array(this.payload.buffer as ArrayBuffer) };
    this.header = undefined;
    this.payload = new Uint8Array(0);
    if (this.events.onFrame?.(frame)) return;
    if (this.waiting) {
      const { resolve } = this.waiting;
      this.waiting = undefined;
      resolve(frame);
    } else this.frames.push(frame);
  }

  private end(error: Error): void {
    if (this.closed) return;
    this.closed = error;
    this.socket.destroy();
    this.waiting?.reject(error);
    this.waiting = undefined;
    this.events.onClose?.(error);
  }
}

const longestHeader = 2 ** 20;

/** A header whose size follows from the lengths that it names; undefined for any other text. */
function parseHeader(text: string): FrameHeader | undefined {
  try {
    const header = JSON.parse(text) as FrameHeader;
    const { kind, rank, bytes, lengths = [] } = header;
    if (!kinds.includes(kind) || !isCount(rank) || !isCount(bytes)) return undefined;
    if (!Array.isArray(lengths) || !lengths.every(isCount)) return undefined;
    // A rank that only receives a broadcast names the lengths and sends nothing.
    const named = kind === 'operation' ? 4 * lengths.reduce((sum, length) => sum + length, 0) : 0;
    return bytes === 0 || bytes === named ? header : undefined;
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function asBytes(array: Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
