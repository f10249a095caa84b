import { CollectiveFailed } from '../../errors';
import { afterSeconds } from '../../timer';
import type { Collective } from './collective';
import type { Frame, FrameChannel, FrameHeader } from './frames';

/** Seconds that the others have to read why this rank leaves. */
const farewell = 2;

type Kind = 'allReduce' | 'broadcast' | 'allGather' | 'barrier';

/** An operation as a rank enters it. All ranks have the same header, but for `rank` and the lengths of an `allGather`. */
interface Entry {
  readonly kind: Kind;
  readonly header: Omit<FrameHeader, 'bytes'> & { readonly lengths: readonly number[] };
  readonly arrays: readonly Float32Array[];
  readonly root: number;
}

/**
 * One rank of a star with rank 0 in the middle. In an operation every other rank sends one frame to rank 0, which waits
 * for all, combines them and answers each with one frame. The first fault fails the current operation and all later ones.
 */
export class Star implements Collective {
  /** Sockets wait while the thread computes, and so do sums. */
  readonly overlaps: boolean = false;
  /** The ranks that this one speaks with: rank 0 with all others, all others with rank 0. */
  private readonly peers = new Map<number, FrameChannel>();
  private readonly arrived = new Set<number>();
  private sequence = 0;
  private current = 'rendezvous';
  private rejectCurrent: ((error: CollectiveFailed) => void) | undefined;
  private failure: CollectiveFailed | undefined;
  private left: string | undefined;
  private closing = false;
  /** Called at the first fault, also between operations. */
  onFailure: (failure: CollectiveFailed) => void = () => {};

  constructor(
    readonly rank: number,
    readonly worldSize: number,
    /** Seconds that ranks wait for one another in an operation. */
    private readonly patience: number,
  ) {}

  has(rank: number): boolean {
    return this.peers.has(rank);
  }

  add(rank: number, channel: FrameChannel): void {
    this.peers.set(rank, channel);
  }

  /** Says hello to the others; any rank but 0 waits for the answer. */
  greet(): Promise<void> {
    return this.within(async () => {
      for (const channel of this.peers.values()) {
        await channel.send({ kind: 'hello', rank: this.rank, worldSize: this.worldSize });
        if (this.rank > 0) await channel.receive();
      }
      this.current = 'waiting';
    });
  }

  /** Handles a frame that is no part of an operation. Returns false for all others. */
  take({ kind, reason }: FrameHeader, from: FrameChannel): boolean {
    if (kind === 'abort') this.fail(`${reason}`);
    else if (kind === 'bye') {
      // A failure only for operations that still need a frame of it.
      const left = `rank ${this.rankOf(from)} has left`;
      this.left ??= left;
      from.finish(new Error(left));
    } else return false;
    return true;
  }

  /** A connection has ended. */
  lost(channel: FrameChannel, error: Error): void {
    const rank = this.rankOf(channel);
    if (rank !== undefined && !this.left) this.fail(`rank ${rank} died (${error.message})`);
  }

  /** Fails the current operation and all later ones, on this rank and on every rank that can be told. */
  fail(reason: string): void {
    if (this.failure || this.closing) return;
    this.failure = new CollectiveFailed(this.rank, this.current, reason);
    this.rejectCurrent?.(this.failure);
    this.onFailure(this.failure);
    const told = this.rank > 0 ? `rank ${this.rank}: ${reason}` : reason;
    for (const channel of this.peers.values()) {
      void channel.send({ kind: 'abort', rank: this.rank, reason: told }).catch(() => {});
      channel.socket.end();
    }
  }

  async close(reason?: string): Promise<void> {
    if (reason) this.fail(reason);
    this.closing = true;
    for (const channel of this.peers.values()) {
      if (!reason) await channel.send({ kind: 'bye', rank: this.rank }).catch(() => {});
      const { socket } = channel;
      socket.end();
      if (socket.destroyed) continue;
      // A rank that hangs never closes its end, and would keep this process.
      socket.once(
        'close',
        afterSeconds(farewell, () => socket.destroy()),
      );
    }
  }

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

  private perform(
    kind: Kind,
    name: string,
    arrays: readonly Float32Array[],
    root = 0,
  ): Promise<Float32Array[]> {
    const operation = name ? `${kind} ${name}` : kind;
    this.current = operation;
    if (this.left) this.fail(this.left);
    if (this.failure) return Promise.reject(this.failure);
    const { rank } = this;
    const lengths = arrays.map((array) => array.length);
    const header = { kind: 'operation', rank, sequence: this.sequence++, operation, lengths } as const;
    const entry: Entry = { kind, header, arrays, root };
    return this.within(() => (rank === 0 ? this.gather(entry) : this.give(entry)));
  }

  /** Rank 0's part of an operation. */
  private async gather(entry: Entry): Promise<Float32Array[]> {
    this.arrived.clear();
    const frames = new Array<Frame>(this.worldSize);
    await Promise.all(
      [...this.peers].map(async ([rank, channel]) => {
        const frame = await channel.receive();
        this.arrived.add(rank);
        const difference = disagreement(entry, frame.header);
        if (difference) throw new Error(`rank ${rank} is at ${difference}`);
        frames[rank] = frame;
      }),
    );
    const others = frames.slice(1).map(({ payload }) => payload);
    const result = combine(entry, others);
    const answer = { ...entry.header, lengths: result.map((array) => array.length) };
    await Promise.all([...this.peers.values()].map((channel) => channel.send(answer, result)));
    return result;
  }

  /** Any other rank's part. */
  private async give({ kind, header, arrays, root }: Entry): Promise<Float32Array[]> {
    const hub = this.peers.get(0)!;
    await hub.send(header, kind === 'broadcast' && root !== this.rank ? [] : arrays);
    const answer = await hub.receive();
    const parts = split(answer.payload, answer.header.lengths ?? []);
    if (kind === 'allGather') return parts;
    for (const [i, array] of arrays.entries()) array.set(parts[i]!);
    return [...arrays];
  }

  /** Settles with the work, or with the failure if that comes first. */
  private within<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => {
        endPatience();
        this.rejectCurrent = undefined;
        end();
      };
      const endPatience = afterSeconds(this.patience, () =>
        this.fail(`${this.whoIsMissing()} did not come within ${this.patience} s`),
      );
      this.rejectCurrent = (error) => settle(() => reject(error));
      work().then(
        (result) => settle(() => resolve(result)),
        (error: Error) => {
          this.fail(error.message);
          settle(() => reject(this.failure ?? error));
        },
      );
    });
  }

  private whoIsMissing(): string {
    if (this.rank > 0) return 'rank 0 or another';
    const missing = [...this.peers.keys()].filter((rank) => !this.arrived.has(rank));
    return `rank ${missing.sort((a, b) => a - b).join(', ')}`;
  }

  private rankOf(channel: FrameChannel): number | undefined {
    for (const [rank, own] of this.peers) if (own === channel) return rank;
    return undefined;
  }
}

function disagreement({ kind, header: own }: Entry, given: FrameHeader): string | undefined {
  const here = `rank 0 at ${own.operation} (operation ${own.sequence})`;
  if (given.sequence !== own.sequence || given.operation !== own.operation)
    return `${given.operation} (operation ${given.sequence}), ${here}`;
  if (kind !== 'allGather' && `${given.lengths}` !== `${own.lengths}`)
    return `${given.operation} with lengths ${given.lengths}, ${here} with ${own.lengths}`;
  return undefined;
}

/** What every rank gets, on rank 0. @param others payloads of ranks 1, 2, ... */
function combine({ kind, header, arrays, root }: Entry, others: readonly Float32Array[]): Float32Array[] {
  if (kind === 'allGather') return [arrays[0]!.slice(), ...others];
  if (kind === 'broadcast' && root > 0)
    for (const [i, part] of split(others[root - 1]!, header.lengths).entries()) arrays[i]!.set(part);
  if (kind === 'allReduce')
    for (const payload of others) {
      let offset = 0;
      for (const array of arrays) {
        for (let i = 0; i < array.length; i++) array[i]! += payload[offset + i]!;
        offset += array.length;
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
