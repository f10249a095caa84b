/** Where a rank stands, as its launcher says it: its number, the address of rank 0, and the GPU it is shown. */
import { askedGpu, visibleGpus } from '../../compute/machine/gpus';
import { rankGpu } from '../../compute/machine/threads';
import { InvalidArgument } from '../../errors';

/** Where a rank stands among the others, in the words of torchrun's environment. */
export interface World {
  readonly rank: number;
  readonly worldSize: number;
  readonly localRank: number;
  /** Ranks on this host. */
  readonly localWorldSize: number;
  /** The host and port of rank 0. */
  readonly address: string;
  readonly port: number;
  /** Whether another process, such as torchrun's agent, serves a TCPStore on that port. */
  readonly storeIsServed: boolean;
  /** How often the launcher has restarted the ranks. */
  readonly life: string;
}

/**
 * The place of this process, from the environment of torchrun or our own supervisor (RANK, WORLD_SIZE, LOCAL_RANK,
 * MASTER_ADDR, MASTER_PORT), of Slurm's srun (SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, the first host of the node
 * list), or of an indexed job of Kubernetes (JOB_COMPLETION_INDEX; WORLD_SIZE and MASTER_ADDR of its manifest).
 * @throws InvalidArgument naming the variable that is missing or wrong
 */
export function worldFromEnvironment(given: NodeJS.ProcessEnv): World {
  const environment =
    given.RANK !== undefined ? given : { ...given, ...(fromSlurm(given) ?? fromKubernetes(given)) };
  const worldSize = integer(environment, 'WORLD_SIZE', 1, Number.MAX_SAFE_INTEGER);
  const rank = integer(environment, 'RANK', 0, worldSize - 1);
  // A pod of Kubernetes' PyTorchJob has one rank and does not say so.
  const alone = environment.LOCAL_RANK === undefined && environment.KUBERNETES_SERVICE_HOST !== undefined;
  const localRank = alone ? 0 : integer(environment, 'LOCAL_RANK', 0, worldSize - 1);
  const localWorldSize = environment.LOCAL_WORLD_SIZE
    ? integer(environment, 'LOCAL_WORLD_SIZE', 1, worldSize)
    : alone
      ? 1
      : worldSize;
  const port = integer(environment, 'MASTER_PORT', 1, 65535);
  const address = environment.MASTER_ADDR;
  if (!address) throw new InvalidArgument('MASTER_ADDR', 'the host of rank 0', address);
  return {
    rank,
    worldSize,
    localRank,
    localWorldSize,
    address,
    port,
    // torchrun's agent keeps a store on MASTER_PORT and says so.
    storeIsServed: environment.TORCHELASTIC_USE_AGENT_STORE === 'True',
    life: environment.TORCHELASTIC_RESTART_COUNT ?? '0',
  };
}

/** The same as torchrun's variables, for a rank that we start and for backends. */
export function worldEnvironment(world: Omit<World, 'storeIsServed' | 'life'>): Record<string, string> {
  return {
    RANK: String(world.rank),
    WORLD_SIZE: String(world.worldSize),
    LOCAL_RANK: String(world.localRank),
    LOCAL_WORLD_SIZE: String(world.localWorldSize),
    MASTER_ADDR: world.address,
    MASTER_PORT: String(world.port),
  };
}

/** Slurm's variables as torchrun's; undefined outside a step. */
function fromSlurm(slurm: NodeJS.ProcessEnv): NodeJS.ProcessEnv | undefined {
  if (slurm.SLURM_PROCID === undefined) return undefined;
  const nodes = slurm.SLURM_STEP_NODELIST ?? slurm.SLURM_NODELIST ?? slurm.SLURM_JOB_NODELIST ?? '';
  // Tasks on each node, such as `4(x2),3`. The first number says how ranks share a node, and whether there are several.
  const tasks = /^\d+/.exec(slurm.SLURM_STEP_TASKS_PER_NODE ?? slurm.SLURM_TASKS_PER_NODE ?? '')?.[0];
  return {
    RANK: slurm.SLURM_PROCID,
    WORLD_SIZE: slurm.SLURM_STEP_NUM_TASKS ?? slurm.SLURM_NTASKS,
    LOCAL_RANK: slurm.SLURM_LOCALID,
    LOCAL_WORLD_SIZE: tasks ?? slurm.SLURM_NTASKS_PER_NODE,
    MASTER_ADDR: slurm.MASTER_ADDR ?? firstHost(nodes),
    // The same on all ranks, and different for different jobs on a host.
    MASTER_PORT: slurm.MASTER_PORT ?? String(15_000 + (Number(slurm.SLURM_JOB_ID ?? 0) % 10_000)),
  };
}

function fromKubernetes(pod: NodeJS.ProcessEnv): NodeJS.ProcessEnv | undefined {
  if (pod.JOB_COMPLETION_INDEX === undefined) return undefined;
  return {
    RANK: pod.JOB_COMPLETION_INDEX,
    WORLD_SIZE: pod.WORLD_SIZE,
    LOCAL_RANK: '0',
    LOCAL_WORLD_SIZE: '1',
    MASTER_ADDR: pod.MASTER_ADDR,
    MASTER_PORT: pod.MASTER_PORT ?? '29500',
  };
}

/** `gpu[03-05,9],other` begins with `gpu03`. */
export function firstHost(nodes: string): string {
  let end = 0;
  for (let depth = 0; end < nodes.length && (nodes[end] !== ',' || depth > 0); end++)
    depth += nodes[end] === '[' ? 1 : nodes[end] === ']' ? -1 : 0;
  return nodes.slice(0, end).replace(/\[([^\],-]*)[^\]]*\]/g, '$1');
}

function integer(environment: NodeJS.ProcessEnv, name: string, least: number, most: number): number {
  const text = environment[name];
  const value = Number(text);
  if (!text || !Number.isInteger(value) || value < least || value > most)
    throw new InvalidArgument(name, `a whole number from ${least} to ${most}, as torchrun sets it`, text);
  return value;
}

/** Set by `pinGpu` if several ranks have this GPU. */
const sharedVariable = 'PATCHWISE_GPU_IS_SHARED';

/** Environment that shows a rank one GPU only. Ranks share GPUs if the host has more ranks than GPUs. */
export function pinGpu(localRank: number, gpus: readonly string[], ranks: number): Record<string, string> {
  // A user who names a GPU counts those that are visible now.
  if (gpus.length === 0 || askedGpu()?.includes(':')) return {};
  const { CUDA_VISIBLE_DEVICES: given, CUDA_DEVICE_ORDER: order } = process.env;
  const own = {
    CUDA_VISIBLE_DEVICES: gpus[localRank % gpus.length]!,
    PATCHWISE_GPU: '0',
    // nvidia-smi numbers GPUs by slot, CUDA by speed unless it is told.
    CUDA_DEVICE_ORDER: (given !== undefined && order) || 'PCI_BUS_ID',
  };
  return share(gpus, ranks) ? { ...own, [sharedVariable]: '1' } : own;
}

/** Whether ranks of this host share a GPU, which NCCL refuses. */
export function sharesGpu(ranksHere: number, environment: NodeJS.ProcessEnv = process.env): boolean {
  if (environment.PATCHWISE_GPU !== undefined) return environment[sharedVariable] === '1';
  return share(visibleGpus(environment), ranksHere);
}

/** To NCCL all parts of a card (MIG) are one GPU. */
function share(gpus: readonly string[], ranks: number): boolean {
  return ranks > gpus.length || (ranks > 1 && gpus.some((name) => name.startsWith('MIG-')));
}

/** @throws InvalidArgument if several ranks of this host are told to use one GPU */
export function refuseOneGpu(ranksHere: number): void {
  const wish = askedGpu();
  if (ranksHere === 1 || !wish?.includes(':')) return;
  const expected = `a device that gives each of ${ranksHere} ranks a GPU`;
  throw new InvalidArgument('PATCHWISE_DEVICE', expected, wish, ['cpu', 'cuda']);
}

/** This rank's GPU, as nvidia-smi names it; undefined on the CPU. */
export function ownGpu(): string | undefined {
  const gpu = rankGpu();
  return gpu === undefined ? undefined : visibleGpus()[gpu];
}
