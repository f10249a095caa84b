import { CollectiveFailed } from '../../errors';
import { afterSeconds } from '../../timer';
import type { Collective } from './collective';
import type { Frame, FrameChannel, FrameHeader } from './frames';

/** The only rank there is. */
export class Alone implements Collective {
  readonly rank = 0;
  readonly worldSize = 1;
  readonly overlaps = false;
  async allReduce(): Promise<void> {}
  async broadcast(): Promise<void> {}
  async allGather(array: Float32Array): Promise<Float32Array[]> {
    return [array.slice()];
  }
  async barrier(): Promise<void> {}
  async close(): Promise<void> {}
}

type Kind = 'allReduce' | 'broadcast' | 'allGather' | 'barrier';

/** One operation as a rank enters it: `lengths` must agree over the ranks where the kind asks for it. */
interface Entry {
  readonly kind: Kind;
  readonly operation: string;
  readonly sequence: number;
  readonly root: number;
  readonly arrays: readonly Float32Array[];
}

/**
 * What both ends of the star share. An operation is: every rank sends one frame to rank 0, which waits for all,
 * combines them and answers each with one frame. The first thing that goes wrong fails the operation under way and
 * every later one.
 */
abstract class Star implements Collective {
  /** Sockets wait for the thread that computes, so a sum would not go on meanwhile. */
  readonly overlaps = false;
  private sequence = 0;
  private failure: CollectiveFailed | undefined;
  private left: string | undefined;
  private rejectCurrent: ((error: CollectiveFailed) => void) | undefined;
  private current = 'waiting';
  protected closing = false;

  constructor(
    readonly rank: number,
    readonly worldSize: number,
    /** Seconds. */
    private readonly patience: number,
  ) {}

  async allReduce(arrays: readonly Float32Array[], name = ''): Promise<void> {
    await this.perform('allReduce', name, arrays);
  }

  async broadcast(arrays: readonly Float32Array[], root: number, name = ''): Promise<void> {
    await this.perform('broadcast', name, arrays, root);
  }

  async allGather(array: Float32Array, name = ''): Promise<Float32Array[]> {
    return this.perform('allGather', name, [array]);
  }

  async barrier(name = ''): Promise<void> {
    await this.perform('barrier', name, []);
  }

  abstract close(reason?: string): Promise<void>;
  protected abstract exchange(entry: Entry): Promise<Float32Array[]>;
  protected abstract whoIsMissing(): string;
  protected abstract tellOthers(reason: string): void;

  /** Fails the operation under way and every later one, here and on every rank that can still be told. */
  fail(operation: string, reason: string): void {
    if (this.failure || this.closing) return;
    this.failure = new CollectiveFailed(this.rank, operation, reason);
    this.rejectCurrent?.(this.failure);
    this.tellOthers(reason);
  }

  protected failCurrent(reason: string): void {
    this.fail(this.current, reason);
  }

  /** A rank went in good order: a failure only for those who still wait for a frame of it, or begin something new. */
  protected someoneLeft(rank: number, channel: FrameChannel | undefined): void {
    this.left ??= `rank ${rank} has left`;
    channel?.finish(new Error(this.left));
  }

  protected someoneDied(rank: number, error: Error): void {
    if (!this.left) this.failCurrent(`rank ${rank} died (${error.message})`);
  }

  private perform(
    kind: Kind,
    name: string,
    arrays: readonly Float32Array[],
    root = 0,
  ): Promise<Float32Array[]> {
    const operation = name ? `${kind} ${name}` : kind;
    if (!this.failure && this.left) this.fail(operation, this.left);
    if (this.failure) return Promise.reject(this.failure);
    this.current = operation;
    const entry: Entry = { kind, operation, sequence: this.sequence++, root, arrays };
    return this.within(() => this.exchange(entry));
  }

  /** Settles with the work, or with the failure if that comes first. */
  protected within<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => {
        endPatience();
        this.rejectCurrent = undefined;
        end();
      };
      const endPatience = afterSeconds(this.patience, () =>
        this.failCurrent(`${this.whoIsMissing()} did not come within ${this.patience} s`),
      );
      this.rejectCurrent = (error) => settle(() => reject(error));
      work().then(
        (result) => settle(() => resolve(result)),
        (error: Error) => {
          this.failCurrent(error.message);
          settle(() => reject(this.failure ?? error));
        },
      );
    });
  }
}

/** Rank 0, in the middle. */
export class Hub extends Star {
  private readonly channels: (FrameChannel | undefined)[];
  private readonly arrived = new Set<number>();

  constructor(worldSize: number, patience: number) {
    super(0, worldSize, patience);
    this.channels = new Array<FrameChannel | undefined>(worldSize).fill(undefined);
  }

  has(rank: number): boolean {
    return this.channels[rank] !== undefined;
  }

  add(rank: number, channel: FrameChannel): void {
    this.channels[rank] = channel;
  }

  async greetAll(): Promise<void> {
    for (const [, channel] of this.others()) await channel.send({ kind: 'hello', rank: 0 });
  }

  /** Takes what is no part of an operation off the stream; true if it was that. */
  take(header: FrameHeader, from: FrameChannel): boolean {
    const rank = this.channels.indexOf(from);
    if (header.kind === 'abort') this.failCurrent(`rank ${rank}: ${header.reason}`);
    else if (header.kind === 'bye') this.someoneLeft(rank, from);
    else return false;
    return true;
  }

  lost(channel: FrameChannel, error: Error): void {
    const rank = this.channels.indexOf(channel);
    if (rank > 0) this.someoneDied(rank, error);
  }

  async close(reason?: string): Promise<void> {
    if (reason) this.failCurrent(reason);
    this.closing = true;
    for (const [, channel] of this.others()) {
      if (!reason) await channel.send({ kind: 'bye', rank: 0 }).catch(() => {});
      channel.socket.end();
    }
  }

  protected async exchange(entry: Entry): Promise<Float32Array[]> {
    this.arrived.clear();
    const frames = await Promise.all(
      this.others().map(async ([rank, channel]) => {
        const frame = await channel.receive();
        this.arrived.add(rank);
        const difference = disagreement(entry, frame.header);
        if (difference) throw new Error(`rank ${rank} is at ${difference}`);
        return frame;
      }),
    );
    const result = combine(entry, frames);
    const lengths = result.map((array) => array.length);
    const { sequence, operation } = entry;
    await Promise.all(
      this.others().map(([, channel]) =>
        channel.send({ kind: 'operation', rank: 0, sequence, operation, lengths }, result),
      ),
    );
    return result;
  }

  protected whoIsMissing(): string {
    const missing = this.others().filter(([rank]) => !this.arrived.has(rank));
    return `rank ${missing.map(([rank]) => rank).join(', ')}`;
  }

  protected tellOthers(reason: string): void {
    for (const [, channel] of this.others()) {
      void channel.send({ kind: 'abort', rank: 0, reason }).catch(() => {});
      channel.socket.end();
    }
  }

  private others(): [number, FrameChannel][] {
    return [...this.channels.entries()].filter(
      (entry): entry is [number, FrameChannel] => entry[1] !== undefined,
    );
  }
}

/** Any other rank. */
export class Spoke extends Star {
  private channel: FrameChannel | undefined;

  async greet(channel: FrameChannel): Promise<void> {
    this.channel = channel;
    await this.within(async () => {
      await channel.send({ kind: 'hello', rank: this.rank, worldSize: this.worldSize });
      await channel.receive();
    });
  }

  take(header: FrameHeader): boolean {
    if (header.kind === 'abort') this.failCurrent(header.reason ?? 'rank 0 gave up');
    else if (header.kind === 'bye') this.someoneLeft(0, this.channel);
    else return false;
    return true;
  }

  lost(error: Error): void {
    this.someoneDied(0, error);
  }

  async close(reason?: string): Promise<void> {
    if (reason) this.failCurrent(reason);
    this.closing = true;
    if (!reason) await this.channel?.send({ kind: 'bye', rank: this.rank }).catch(() => {});
    this.channel?.socket.end();
  }

  protected async exchange(entry: Entry): Promise<Float32Array[]> {
    const { sequence, operation, arrays } = entry;
    const lengths = arrays.map((array) => array.length);
    const gives = entry.kind !== 'broadcast' || entry.root === this.rank;
    await this.channel!.send(
      { kind: 'operation', rank: this.rank, sequence, operation, lengths },
      gives ? arrays : [],
    );
    const { header, payload } = await this.channel!.receive();
    const result = split(payload, header.lengths ?? []);
    if (entry.kind === 'allReduce' || entry.kind === 'broadcast') {
      for (const [i, array] of arrays.entries()) array.set(result[i]!);
      return [...arrays];
    }
    return result;
  }

  protected whoIsMissing(): string {
    return 'rank 0 or another';
  }

  protected tellOthers(reason: string): void {
    void this.channel?.send({ kind: 'abort', rank: this.rank, reason }).catch(() => {});
    this.channel?.socket.end();
  }
}

function disagreement(entry: Entry, header: FrameHeader): string | undefined {
  const here = `rank 0 at ${entry.operation} (operation ${entry.sequence})`;
  if (header.sequence !== entry.sequence || header.operation !== entry.operation)
    return `${header.operation} (operation ${header.sequence}), ${here}`;
  const lengths = entry.arrays.map((array) => array.length);
  const agree =
    lengths.length === header.lengths?.length && lengths.every((n, i) => n === header.lengths?.[i]);
  if (entry.kind !== 'allGather' && !agree)
    return `${header.operation} with lengths ${header.lengths}, ${here} with ${lengths}`;
  return undefined;
}

/** What every rank gets, on rank 0. `frames` are of rank 1, 2, … */
function combine(entry: Entry, frames: readonly Frame[]): Float32Array[] {
  const { kind, arrays, root } = entry;
  if (kind === 'allGather') return [arrays[0]!.slice(), ...frames.map((frame) => frame.payload)];
  if (kind === 'broadcast' && root > 0) {
    const given = split(
      frames[root - 1]!.payload,
      arrays.map((array) => array.length),
    );
    for (const [i, array] of arrays.entries()) array.set(given[i]!);
  }
  if (kind === 'allReduce') {
    for (const { payload } of frames) {
      let offset = 0;
      for (const array of arrays) {
        for (let i = 0; i < array.length; i++) array[i]! += payload[offset + i]!;
        offset += array.length;
      }
    }
  }
  return [...arrays];
}

function split(payload: Float32Array, lengths: readonly number[]): Float32Array[] {
  let offset = 0;
  return lengths.map((length) => {
    const part = payload.subarray(offset, offset + length);
    offset += length;
    return part;
  });
}
