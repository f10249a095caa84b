import { createHmac } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rankGpu } from '../../compute/machine/threads';
import { builtC10d } from './c10d/addon';
import { connectC10d } from './c10d/c10d';
import type { Collective } from './collective';
import { connectLocal } from './local';
import { Star } from './star';
import { sharesGpu, type World } from './world';

export const collectiveNames = ['auto', 'local', 'c10d'] as const;
export type CollectiveName = (typeof collectiveNames)[number];

interface ConnectOptions {
  readonly world: World;
  readonly name: CollectiveName;
  /** What only the ranks of this run know: see `runSecret`. */
  readonly secret: string;
  /** Seconds. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Which collective, and why. `auto` takes `c10d` across hosts and between GPUs, if it is built; else `local`, which is a
 * star over TCP. It also works across hosts, but is slower there.
 */
export function chooseCollective(
  name: CollectiveName,
  world: World,
): { name: 'local' | 'c10d'; reason: string } {
  if (name !== 'auto') return { name, reason: 'asked for by name' };
  const built = builtC10d();
  const nccl = built?.nccl && gpu(world) !== undefined;
  if (isOneHost(world))
    return nccl
      ? { name: 'c10d', reason: 'NCCL between GPUs' }
      : { name: 'local', reason: 'all ranks are on one host' };
  if (nccl || built?.gloo) return { name: 'c10d', reason: 'ranks are on several hosts' };
  const reason = 'c10d, for several hosts, is not built: `npx patchwise backend build libtorch`';
  return { name: 'local', reason };
}

/** Connects all ranks. @throws CollectiveFailed if they do not find one another; UnavailableBackend */
export async function connectCollective({ world, secret, ...options }: ConnectOptions): Promise<Collective> {
  const { timeout, signal } = options;
  // Asked for by name, c10d also runs with one rank, to try NCCL or Gloo on one device.
  if (world.worldSize === 1 && options.name !== 'c10d') return new Star(0, 1, timeout);
  const { name, reason } = chooseCollective(options.name, world);
  if (world.rank === 0) console.error(`collective ${name}: ${reason}`);
  if (name === 'local') {
    // The store of torchrun's agent listens on the port itself; the star takes the next one.
    const port = world.port + (world.storeIsServed ? 1 : 0);
    return connectLocal({ ...world, port, secret, timeout, signal, oneHost: isOneHost(world) });
  }
  return connectC10d({
    ...world,
    timeout,
    signal,
    // A store has no password, but others cannot guess the names of its entries.
    session: createHmac('sha256', secret).update(`store ${world.life}`).digest('hex'),
    gpu: builtC10d()?.nccl ? gpu(world) : undefined,
  });
}

function isOneHost({ localWorldSize, worldSize }: World): boolean {
  return localWorldSize === worldSize;
}

/** The GPU that NCCL can use for this rank; undefined if it computes on the CPU or shares its GPU. */
function gpu({ localWorldSize }: World): number | undefined {
  if (!existsSync('/dev/nvidiactl') || sharesGpu(localWorldSize)) return undefined;
  return rankGpu();
}
