import { setTimeout as pause } from 'node:timers/promises';
import type * as tf from '@tensorflow/tfjs-core';
import { currentBackend } from '../../../compute/contract/registry';
import { CollectiveFailed } from '../../../errors';
import type { Collective } from '../collective';
import { connectLocal } from '../local';
import { freePort, knock } from '../ports';
import type { Star } from '../star';
import type { World } from '../world';
import {
  builtC10d,
  type C10dAddon,
  type GroupHandle,
  loadC10d,
  type OperationKind,
  type StoreHandle,
} from './addon';

/** At `address` and `port` rank 0 serves the TCPStore, unless another process does, such as torchrun's agent. */
interface C10dOptions extends Pick<World, 'rank' | 'worldSize' | 'address' | 'port' | 'storeIsServed'> {
  /** Keeps the ranks of this life of this run apart from others on the same store. */
  readonly session: string;
  /** Seconds that ranks wait for one another, at the rendezvous and in each operation. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
  /** The GPU for NCCL; Gloo if undefined. */
  readonly gpu?: number | undefined;
}

/**
 * The collective of several hosts, through libtorch's c10d: Gloo on CPUs, NCCL on GPUs. Ranks meet at a TCPStore as
 * torchrun sets it up. Sums go round a ring in a fixed order, with the same bits on every rank and in every run of as many
 * ranks.
 * @throws CollectiveFailed if the ranks do not find one another; its cause has `code: 'EADDRINUSE'` if the port is taken
 * and the caller should try another. UnavailableBackend if it is not built
 */
export async function connectC10d(options: C10dOptions): Promise<Collective> {
  const { rank, worldSize, address, port, storeIsServed, session, signal } = options;
  const addon = loadC10d();
  const fail = (reason: string, cause?: unknown) =>
    new CollectiveFailed(rank, 'rendezvous', reason, { cause });
  const milliseconds = Math.ceil(options.timeout * 1000);
  const deadline = performance.now() + milliseconds;
  let store: StoreHandle | undefined;
  const serves = rank === 0 && !storeIsServed;
  const open = () =>
    addon.openStore(address, port, serves, `patchwise/${session}`, milliseconds).catch((error: Error) => {
      const taken = serves && /EADDRINUSE|address already in use/i.test(error.message);
      throw fail(error.message, taken ? Object.assign(error, { code: 'EADDRINUSE' }) : error);
    });
  if (serves) store = await open();
  const unlessStopped = <T>(ask: () => Promise<T>) => {
    if (signal?.aborted) throw fail('stopped');
    return ask();
  };
  // The address of this host that the others can reach.
  const findAddress = async () => {
    const socket = await knock(address, port);
    const found = socket?.localAddress;
    socket?.destroy();
    return found;
  };
  const own = await poll(50, deadline, () => unlessStopped(findAddress));
  if (!own) throw fail(`no store listens on ${address}:${port}`);
  store ??= await open();
  await addon.set(store, `here/${rank}`, own);
  const count = counter(addon, store, 'here', worldSize);
  if (!(await poll(20, deadline, () => unlessStopped(count)))) {
    const late = await absent(addon, store, 'here', worldSize);
    throw fail(`rank ${late.join(', ')} did not come within ${options.timeout} s`);
  }
  const { GLOO_SOCKET_IFNAME = '' } = process.env;
  const group = await addon
    .openGroup(store, rank, worldSize, own, options.gpu ?? -1, milliseconds, GLOO_SOCKET_IFNAME)
    .catch((error: Error) => {
      throw fail(error.message, error);
    });
  const line = await connectLifeline(addon, store, options).catch((error: Error) => {
    void addon.closeGroup(group);
    throw error;
  });
  return new C10d(addon, store, group, line, options);
}

/**
 * Connections of all ranks with rank 0, on which nothing is sent until somebody fails or leaves. The system closes those of
 * a process that dies, and so all others hear of it at once. NCCL itself would wait until the timeout.
 */
async function connectLifeline(addon: C10dAddon, store: StoreHandle, options: C10dOptions): Promise<Star> {
  const { rank, worldSize, session: secret, timeout, signal } = options;
  const place = async () => {
    const [port, host] = await Promise.all([addon.get(store, 'lifeline'), addon.get(store, 'here/0')]);
    return port && host ? { port: Number(port), address: host } : undefined;
  };
  if (rank === 0) await addon.set(store, 'lifeline', String(await freePort('')));
  const found = await poll(20, performance.now() + 1000 * timeout, place);
  if (!found) throw new CollectiveFailed(rank, 'rendezvous', `rank 0 did not come within ${timeout} s`);
  return connectLocal({ rank, worldSize, ...found, oneHost: false, secret, timeout, signal });
}

/** What comes of the work; undefined if it fails or takes longer. */
async function within<T>(milliseconds: number, work: Promise<T>): Promise<T | undefined> {
  const stop = new AbortController();
  const late = pause(milliseconds, undefined, { signal: stop.signal }).catch(() => undefined);
  return Promise.race([work.catch(() => undefined), late]).finally(() => stop.abort());
}

/** Asks until there is an answer, every so many ms; undefined if there is none at `deadline`. */
async function poll<T>(every: number, deadline: number, ask: () => Promise<T>): Promise<T | undefined> {
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > deadline) return undefined;
    await pause(every);
  }
}

/** Counts this rank in the store at the first call; says whether all ranks are counted. */
function counter(addon: C10dAddon, store: StoreHandle, key: string, worldSize: number) {
  let own = 1;
  return async (): Promise<boolean> => {
    const sum = addon.add(store, key, own);
    own = 0;
    return (await sum) >= worldSize;
  };
}

/** Ranks that have not left `key/rank` in the store. */
async function absent(addon: C10dAddon, store: StoreHandle, key: string, worldSize: number) {
  const ranks = [...Array(worldSize).keys()];
  const found = await Promise.all(ranks.map((rank) => addon.get(store, `${key}/${rank}`)));
  return ranks.filter((rank) => found[rank] === undefined);
}

type Arrays = readonly Float32Array[];

/** Numbers of a heading: the operation's place in the sequence, how many numbers it has (two), its name. */
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
  private current = 'waiting';
  /** What rejects the operations under way. */
  private readonly waiting = new Set<(failure: CollectiveFailed) => void>();

  /** The version of libtorch that the addon links. Reading it hashes the addon's source, so once. */
  private readonly builtFor = builtC10d()?.libtorch;

  constructor(
    private readonly addon: C10dAddon,
    private readonly store: StoreHandle,
    private readonly group: GroupHandle,
    private readonly line: Star,
    private readonly options: C10dOptions,
  ) {
    this.rank = options.rank;
    this.worldSize = options.worldSize;
    line.onFailure = ({ reason }) => {
      this.failure ??= new CollectiveFailed(this.rank, this.current, reason);
      this.letGo();
      for (const reject of this.waiting) reject(this.failure);
    };
  }

  async allReduce(arrays: Arrays, name = ''): Promise<void> {
    await this.perform('allReduce', name, arrays);
  }

  /** NCCL reaches tensors on a GPU, Gloo those on the CPU. */
  get reduceInPlace(): Collective['reduceInPlace'] {
    const { libtorch, device } = currentBackend();
    const reaches = (device === 'CPU') === (this.options.gpu === undefined);
    if (!libtorch || !reaches || libtorch.version !== this.builtFor) return undefined;
    return (tensor: tf.Tensor, name = '') =>
      this.inTurn(`reduce ${name}`.trim(), tensor.size, () =>
        this.addon.reduce(this.group, libtorch.address(tensor)),
      );
  }

  async broadcast(arrays: Arrays, root: number, name = ''): Promise<void> {
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
    if (reason) await within(2000, this.leave(reason));
    else if (!this.failure) {
      await this.last.catch(() => {});
      // The first to go would cut off what is still on its way to the others.
      const count = counter(this.addon, this.store, 'bye', this.worldSize);
      await poll(10, performance.now() + 2000, () => count().catch(() => true));
    }
    this.failure ??= new CollectiveFailed(this.rank, 'closed', reason ?? 'this rank has left');
    await this.line.close(reason);
    this.letGo();
    await within(1000, this.closed!);
    await within(1000, this.addon.closeStore(this.store));
    this.addon.letProcessEnd();
  }

  /** Leaves the reason for the others. A rank that serves the store gives them time to read it. */
  private async leave(reason: string): Promise<void> {
    if ((await this.addon.add(this.store, 'failed', 1)) === 1)
      await this.addon.set(this.store, 'reason', `rank ${this.rank}: ${reason}`);
    await this.addon.set(this.store, `failed/${this.rank}`, reason);
    this.letGo();
    if (this.rank === 0) await pause(500);
  }

  private perform(kind: OperationKind, name: string, arrays: Arrays, root = 0): Promise<void> {
    const size =
      kind === 'allGather' ? arrays[0]!.length : arrays.reduce((sum, array) => sum + array.length, 0);
    return this.inTurn(`${kind} ${name}`.trim(), size, () =>
      this.addon.operate(this.group, kind, arrays, root),
    );
  }

  /** Does an operation on so many numbers, after those before it. */
  private inTurn(operation: string, size: number, operate: () => Promise<void>): Promise<void> {
    if (this.failure) return Promise.reject(this.failure);
    const sequence = this.sequence++;
    this.current = operation;
    const done = (async () => {
      try {
        // Both start before either is waited for: calls that overlap must have one order on all ranks.
        const agreed = this.agree(sequence, size, operation);
        const operated = operate();
        operated.catch(() => {});
        await this.unlessLost(agreed.then(() => operated));
      } catch (error) {
        throw await this.fail(operation, error as Error);
      }
    })();
    this.last = done;
    done.catch(() => {});
    return done;
  }

  /**
   * Settles as the work does, or rejects with the failure of another rank if that comes first. One promise of that failure
   * for all operations would keep something of each of them as long as the run lasts.
   */
  private unlessLost(work: Promise<void>): Promise<void> {
    let stop!: (failure: CollectiveFailed) => void;
    const lost = new Promise<never>((_, reject) => {
      stop = reject;
    });
    this.waiting.add(stop);
    return Promise.race([lost, work]).finally(() => this.waiting.delete(stop));
  }

  /** Makes sure that all ranks are at the same operation: Gloo itself would mix operations up, or wait. */
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

  /** What went wrong, in the words of the rank that knows, or else which ranks have not answered. */
  private async fail(operation: string, cause: Error): Promise<CollectiveFailed> {
    if (this.failure) return this.failure;
    const known = this.whatHappened(cause).catch(
      () => `rank 0 died (its store is gone; ${firstLine(cause)})`,
    );
    // Rank 0 keeps the store. If it hangs, the store does not answer.
    const reason = (await within(5000, known)) ?? `rank 0 does not answer (${firstLine(cause)})`;
    this.letGo();
    this.failure ??= new CollectiveFailed(this.rank, operation, reason, { cause });
    return this.failure;
  }

  /** Cuts the connections, so that ranks that wait for this one find out. An operation that waits here may delay it. */
  private letGo(): void {
    this.closed ??= this.addon.closeGroup(this.group).catch(() => {});
  }

  private async whatHappened(cause: Error): Promise<string> {
    await this.addon.set(this.store, `failed/${this.rank}`, firstLine(cause));
    // Ranks that live find out within moments of one another, once the first to notice has let go.
    this.letGo();
    const told = await poll(50, performance.now() + 1500, async () => {
      const reason = await this.addon.get(this.store, 'reason');
      if (reason) return reason;
      const silent = await absent(this.addon, this.store, 'failed', this.worldSize);
      return silent.length === 0 ? firstLine(cause) : undefined;
    });
    if (told) return told;
    const silent = await absent(this.addon, this.store, 'failed', this.worldSize);
    const late = /tim(ed|e) ?out/i.test(cause.message);
    const what = late ? `did not come within ${this.options.timeout} s` : 'died';
    const reason =
      silent.length > 0 ? `rank ${silent.join(', ')} ${what} (${firstLine(cause)})` : firstLine(cause);
    await this.addon.set(this.store, 'reason', reason);
    // The store may go with rank 0: give the others time to read it.
    if (this.rank === 0) await pause(1000);
    return reason;
  }
}

function describe(heading: Float32Array): string {
  const letters = [...heading.subarray(3)].filter((code) => code > 0);
  const size = heading[1]! + heading[2]! * 2 ** 24;
  return `${String.fromCharCode(...letters)} of ${size} numbers (operation ${heading[0]})`;
}

function firstLine(error: Error): string {
  return error.message.split('\n')[0]!.replace(/^\[[^\]]*\]\s*/, '');
}
