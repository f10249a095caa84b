import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { CollectiveFailed } from '../../../errors';
import type { Collective } from '../collective';
import { type C10dAddon, type GroupHandle, loadC10d, type StoreHandle } from './addon';

export interface C10dOptions {
  readonly rank: number;
  readonly worldSize: number;
  /** Of the TCPStore, which rank 0 serves unless somebody else does, such as torchrun's agent. */
  readonly address: string;
  readonly port: number;
  readonly storeIsServed: boolean;
  /** What tells the ranks of this life of this run from others on the same store. */
  readonly session: string;
  /** Seconds that ranks wait for one another, in one operation and in finding one another. */
  readonly timeout: number;
  readonly signal?: AbortSignal;
  /** NCCL on this GPU; Gloo where it is undefined. */
  readonly gpu?: number;
}

/**
 * The collective of several hosts, through libtorch's c10d: Gloo on CPUs, NCCL on GPUs, found by a TCPStore as torchrun
 * sets it up. Sums go round a ring in one fixed order: the same bits on every rank and in every run of as many ranks.
 * @throws CollectiveFailed if the ranks do not find one another; its cause has `code: 'EADDRINUSE'` where the port
 * is taken and another one should be tried. UnavailableBackend where it is not built
 */
export async function connectC10d(options: C10dOptions): Promise<Collective> {
  const { rank, worldSize, address, port, storeIsServed, session, signal } = options;
  const addon = loadC10d();
  const fail = (reason: string, cause?: unknown) =>
    new CollectiveFailed(rank, 'rendezvous', reason, { cause });
  // By default NCCL's watchdog ends the process when another rank dies or is late; so the call throws, and says why.
  if (options.gpu !== undefined) process.env.TORCH_NCCL_BLOCKING_WAIT ??= '1';
  const milliseconds = Math.ceil(options.timeout * 1000);
  const deadline = performance.now() + milliseconds;
  let store: StoreHandle | undefined;
  const serves = rank === 0 && !storeIsServed;
  const open = () => addon.openStore(address, port, serves, `patchwise/${session}`, milliseconds);
  if (serves)
    store = await open().catch((error: Error) => {
      const taken = /EADDRINUSE|address already in use/i.test(error.message);
      throw fail(error.message, taken ? Object.assign(error, { code: 'EADDRINUSE' }) : error);
    });
  let own: string | undefined;
  for (;;) {
    if (signal?.aborted) throw fail('stopped');
    // Also tells which of this host's addresses the others can reach.
    own = await knock(address, port);
    if (own) break;
    if (performance.now() > deadline) throw fail(`no store listens on ${address}:${port}`);
    await pause(50);
  }
  store ??= await open().catch((error: Error) => {
    throw fail(error.message, error);
  });
  await addon.set(store, `here/${rank}`, own);
  for (
    let here = await addon.add(store, 'here', 1);
    here < worldSize;
    here = await addon.add(store, 'here', 0)
  ) {
    if (signal?.aborted) throw fail('stopped');
    if (performance.now() > deadline)
      throw fail(
        `rank ${(await absent(addon, store, 'here', worldSize)).join(', ')} did not come within ${options.timeout} s`,
      );
    await pause(20);
  }
  const { GLOO_SOCKET_IFNAME = '' } = process.env;
  const group = await addon
    .openGroup(store, rank, worldSize, own, options.gpu ?? -1, milliseconds, GLOO_SOCKET_IFNAME)
    .catch((error: Error) => {
      throw fail(error.message, error);
    });
  return new C10d(addon, store, group, options);
}

/** Ranks that have not left `key/rank` in the store. */
async function absent(
  addon: C10dAddon,
  store: StoreHandle,
  key: string,
  worldSize: number,
): Promise<number[]> {
  const found = await Promise.all(
    Array.from({ length: worldSize }, (_, rank) => addon.get(store, `${key}/${rank}`)),
  );
  return found.flatMap((value, rank) => (value === undefined ? [rank] : []));
}

/** This host's address towards another one that listens; undefined where it does not. */
function knock(address: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    const end = (found: string | undefined) => {
      socket.destroy();
      resolve(found);
    };
    socket.once('connect', () => end(socket.localAddress));
    socket.once('error', () => end(undefined));
    socket.setTimeout(2000, () => end(undefined));
  });
}

/** Numbers of a heading: the operation's place in the sequence, how many numbers it has, its name. */
const headingLength = 64;

class C10d implements Collective {
  /** Gloo and NCCL have threads of their own. */
  readonly overlaps = true;
  readonly rank: number;
  readonly worldSize: number;
  private sequence = 0;
  private failure: CollectiveFailed | undefined;
  private closed: Promise<void> | undefined;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly addon: C10dAddon,
    private readonly store: StoreHandle,
    private readonly group: GroupHandle,
    private readonly options: C10dOptions,
  ) {
    this.rank = options.rank;
    this.worldSize = options.worldSize;
  }

  async allReduce(arrays: readonly Float32Array[], name = ''): Promise<void> {
    await this.perform('allReduce', name, arrays);
  }

  async broadcast(arrays: readonly Float32Array[], root: number, name = ''): Promise<void> {
    await this.perform('broadcast', name, arrays, root);
  }

  async allGather(array: Float32Array, name = ''): Promise<Float32Array[]> {
    const lengths = new Float32Array(this.worldSize);
    await this.perform('allGather', `${name} lengths`, [Float32Array.of(array.length), lengths]);
    const longest = Math.max(...lengths);
    if (longest === 0) return Array.from(lengths, () => new Float32Array(0));
    const padded = new Float32Array(longest);
    padded.set(array);
    const all = new Float32Array(longest * this.worldSize);
    await this.perform('allGather', name, [padded, all]);
    return Array.from(lengths, (length, rank) => all.slice(rank * longest, rank * longest + length));
  }

  async barrier(name = ''): Promise<void> {
    await this.perform('allReduce', `barrier ${name}`, [new Float32Array(1)]);
  }

  async close(reason?: string): Promise<void> {
    if (reason) await this.leave(reason).catch(() => {});
    else if (!this.failure) {
      await this.last.catch(() => {});
      // Whoever goes first would cut off what is still on its way to the others.
      const deadline = performance.now() + 2000;
      let gone = await this.addon.add(this.store, 'bye', 1).catch(() => this.worldSize);
      while (gone < this.worldSize && performance.now() < deadline) {
        await pause(10);
        gone = await this.addon.add(this.store, 'bye', 0).catch(() => this.worldSize);
      }
    }
    this.failure ??= new CollectiveFailed(this.rank, 'closed', reason ?? 'this rank has left');
    this.letGo();
    await Promise.race([this.closed, pause(1000)]);
    await this.addon.closeStore(this.store).catch(() => {});
  }

  /** Leaves the reason for the others, and where this rank serves the store, time to read it. */
  private async leave(reason: string): Promise<void> {
    if ((await this.addon.add(this.store, 'failed', 1)) === 1)
      await this.addon.set(this.store, 'reason', `rank ${this.rank}: ${reason}`);
    await this.addon.set(this.store, `failed/${this.rank}`, reason);
    this.letGo();
    if (this.rank === 0) await pause(500);
  }

  private perform(
    kind: 'allReduce' | 'broadcast' | 'allGather',
    name: string,
    arrays: readonly Float32Array[],
    root = 0,
  ): Promise<void> {
    const operation = `${kind} ${name}`.trim();
    if (this.failure) return Promise.reject(this.failure);
    const sequence = this.sequence++;
    const done = (async () => {
      try {
        const size = kind === 'allGather' ? arrays[0]!.length : total(arrays);
        // Both are on their way before anything is waited for: calls that overlap must be in one order everywhere.
        const agreed = this.agree(sequence, size, operation);
        const operated = this.addon.operate(this.group, kind, arrays, root);
        operated.catch(() => {});
        await agreed;
        await operated;
      } catch (error) {
        throw await this.fail(operation, error as Error);
      }
    })();
    this.last = done;
    done.catch(() => {});
    return done;
  }

  /** Makes sure that all ranks are at the same operation: Gloo itself would mix up or wait. */
  private async agree(sequence: number, size: number, operation: string): Promise<void> {
    const heading = new Float32Array(headingLength);
    const letters = [...operation].slice(0, headingLength - 3).map((letter) => letter.charCodeAt(0));
    heading.set([sequence, size % 2 ** 24, Math.floor(size / 2 ** 24), ...letters]);
    const all = new Float32Array(headingLength * this.worldSize);
    await this.addon.operate(this.group, 'allGather', [heading, all], 0);
    for (let rank = 0; rank < this.worldSize; rank++) {
      const theirs = all.subarray(rank * headingLength, (rank + 1) * headingLength);
      if (theirs.every((value, i) => value === heading[i])) continue;
      throw new Error(`rank ${rank} is at ${describe(theirs)}, rank ${this.rank} at ${describe(heading)}`);
    }
  }

  /** What went wrong, in the words of the rank that knows it, or by who has not answered. */
  private async fail(operation: string, cause: Error): Promise<CollectiveFailed> {
    if (this.failure) return this.failure;
    const reason = await this.whatHappened(cause).catch(
      () => `rank 0 died (its store is gone; ${firstLine(cause)})`,
    );
    this.failure ??= new CollectiveFailed(this.rank, operation, reason, { cause });
    return this.failure;
  }

  /** Cuts the connections, so that whoever waits for this rank finds out; what still waits here may hold it up. */
  private letGo(): void {
    this.closed ??= this.addon.closeGroup(this.group).catch(() => {});
  }

  private async whatHappened(cause: Error): Promise<string> {
    await this.addon.set(this.store, `failed/${this.rank}`, firstLine(cause));
    // Those who live find out within moments of one another, once the first to notice has let go.
    this.letGo();
    for (let waited = 0; waited < 1500; waited += 50) {
      const reason = await this.addon.get(this.store, 'reason');
      if (reason) return reason;
      if ((await absent(this.addon, this.store, 'failed', this.worldSize)).length === 0)
        return firstLine(cause);
      await pause(50);
    }
    const silent = await absent(this.addon, this.store, 'failed', this.worldSize);
    const late = /tim(ed|e) ?out/i.test(cause.message);
    const what = late ? `did not come within ${this.options.timeout} s` : 'died';
    const reason =
      silent.length > 0 ? `rank ${silent.join(', ')} ${what} (${firstLine(cause)})` : firstLine(cause);
    await this.addon.set(this.store, 'reason', reason);
    // The store may go with rank 0: the others are given time to read it.
    if (this.rank === 0) await pause(1000);
    return reason;
  }
}

function describe(heading: Float32Array): string {
  const letters = [...heading.subarray(3)].filter((code) => code > 0);
  const size = heading[1]! + heading[2]! * 2 ** 24;
  return `${String.fromCharCode(...letters)} of ${size} numbers (operation ${heading[0]})`;
}

function total(arrays: readonly Float32Array[]): number {
  return arrays.reduce((sum, array) => sum + array.length, 0);
}

function firstLine(error: Error): string {
  return error.message.split('\n')[0]!.replace(/^\[[^\]]*\]\s*/, '');
}
