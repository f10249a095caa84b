import { createHmac } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rankGpu } from '../../compute/machine/threads';
import { builtC10d } from './c10d/addon';
import { connectC10d } from './c10d/c10d';
import type { Collective, World } from './collective';
import { sharesGpu } from './devices';
import { connectLocal } from './local';
import { Alone } from './star';

export const collectiveNames = ['auto', 'local', 'c10d'] as const;
export type CollectiveName = (typeof collectiveNames)[number];

export interface ConnectOptions {
  readonly world: World;
  readonly name: CollectiveName;
  /** What the ranks of this run know and nobody else: see `runSecret`. */
  readonly secret: string;
  /** Seconds. */
  readonly timeout: number;
  readonly signal?: AbortSignal;
}

/**
 * Which collective, and why. `auto` takes `local` on one host without GPUs, and `c10d` across hosts and between GPUs
 * where it is built; else `local`, which is a star over TCP and works across hosts too, only slower.
 */
export function chooseCollective(
  name: CollectiveName,
  world: World,
): { name: 'local' | 'c10d'; reason: string } {
  if (name !== 'auto') return { name, reason: 'asked for by name' };
  const oneHost = world.localWorldSize === world.worldSize;
  const built = builtC10d();
  if (!oneHost)
    return built && (built.gloo || (built.nccl && gpu(world) !== undefined))
      ? { name: 'c10d', reason: 'ranks are on several hosts' }
      : {
          name: 'local',
          reason: 'c10d, for several hosts, is not built: `npx patchwise backend build libtorch`',
        };
  if (built?.nccl && gpu(world) !== undefined) return { name: 'c10d', reason: 'NCCL between GPUs' };
  return { name: 'local', reason: 'all ranks are on one host' };
}

/** Connects all ranks. @throws CollectiveFailed if they do not find one another; UnavailableBackend */
export async function connectCollective(options: ConnectOptions): Promise<Collective> {
  const { world, secret, timeout, signal } = options;
  // One rank has nobody to speak with; by name it goes the way of many, to try NCCL or Gloo on one device.
  if (world.worldSize === 1 && options.name !== 'c10d') return new Alone();
  const { name, reason } = chooseCollective(options.name, world);
  if (world.rank === 0) console.error(`collective ${name}: ${reason}`);
  const call = { timeout, ...(signal && { signal }) };
  // An agent's store has the port that the ranks were told; the next one is free for a star.
  const port = world.port + (world.storeIsServed ? 1 : 0);
  if (name === 'local')
    return connectLocal({
      ...world,
      ...call,
      port,
      secret,
      oneHost: world.localWorldSize === world.worldSize,
    });
  const device = builtC10d()?.nccl ? gpu(world) : undefined;
  return connectC10d({
    ...world,
    ...call,
    // A store has no password, but whoever cannot guess the names in it cannot change what stands there.
    session: createHmac('sha256', secret).update(`store ${world.life}`).digest('hex'),
    ...(device !== undefined && { gpu: device }),
  });
}

/** The GPU of this rank; undefined where it computes on the CPU, or shares one: then NCCL is not for it. */
function gpu({ localWorldSize }: World): number | undefined {
  if (!existsSync('/dev/nvidiactl') || sharesGpu(localWorldSize)) return undefined;
  return rankGpu();
}
