import { createHmac } from 'node:crypto';
import { visibleGpus } from '../../compute/machine/gpus';
import { rankGpu } from '../../compute/machine/threads';
import { buildCommand } from '../../compute/machine/toolchain';
import { builtC10d, loadC10d } from './c10d/addon';
import { connectC10d } from './c10d/c10d';
import type { Collective } from './collective';
import { connectLocal } from './local';
import { Star } from './star';
import { refuseOneGpu, sharesGpu, type World } from './world';

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

/** Which collective, the GPU if it is NCCL's, and why. */
interface Choice {
  readonly name: 'local' | 'c10d';
  readonly gpu?: number;
  readonly reason: string;
}

/**
 * Which collective, and why. `auto` takes `c10d` across hosts and between GPUs, if it is built; else `local`, which is a
 * star over TCP. It also works across hosts, but is slower there.
 */
export async function chooseCollective(name: CollectiveName, world: World): Promise<Choice> {
  const built = builtC10d();
  if (name === 'local') return { name, reason: 'asked for by name' };
  const between = await gpuForNccl(world);
  const nccl = typeof between === 'number' ? { gpu: between } : undefined;
  if (name === 'c10d')
    return { name, ...nccl, reason: `asked for by name${nccl ? '; NCCL between GPUs' : ''}` };
  if (nccl) return { name: 'c10d', ...nccl, reason: 'NCCL between GPUs' };
  if (isOneHost(world))
    return { name: 'local', reason: ['all ranks are on one host', between].filter(Boolean).join('; ') };
  if (built)
    return { name: 'c10d', reason: ['ranks are on several hosts', between].filter(Boolean).join('; ') };
  const cure = `\`${buildCommand('libtorch')}\``;
  return { name: 'local', reason: `c10d, for several hosts, is not built: ${cure}` };
}

/** Connects all ranks. @throws CollectiveFailed if they do not find one another; UnavailableBackend; InvalidArgument for a wrong device */
export async function connectCollective({ world, secret, ...options }: ConnectOptions): Promise<Collective> {
  const { timeout, signal } = options;
  refuseOneGpu(world.localWorldSize);
  // Asked for by name, c10d also runs with one rank, to try NCCL or Gloo on one device.
  if (world.worldSize === 1 && options.name !== 'c10d') return new Star(0, 1, timeout);
  const { name, gpu, reason } = await chooseCollective(options.name, world);
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
    gpu,
  });
}

function isOneHost({ localWorldSize, worldSize }: World): boolean {
  return localWorldSize === worldSize;
}

/**
 * The GPU that NCCL uses for this rank. If it is not NCCL, the reason on a host with GPUs; undefined if this rank is to
 * compute on the CPU.
 */
async function gpuForNccl({ localWorldSize }: World): Promise<number | string | undefined> {
  const gpu = rankGpu();
  if (gpu === undefined || visibleGpus().length === 0) return undefined;
  const built = builtC10d();
  if (!built) return `no NCCL between GPUs: c10d is not built (\`${buildCommand('libtorch')}\`)`;
  if (!built.nccl)
    return `no NCCL between GPUs: ${built.ncclProblem?.split('\n')[0] ?? 'this libtorch has no CUDA'}`;
  if (sharesGpu(localWorldSize)) return 'no NCCL between GPUs: ranks share a GPU';
  // The driver may list GPUs that libtorch cannot use.
  const usable = await loadC10d().gpus();
  return gpu < usable ? gpu : `no NCCL between GPUs: libtorch sees ${usable}`;
}
