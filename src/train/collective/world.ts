import { InvalidArgument } from '../../errors';
import type { World } from './collective';

/**
 * This process's place among the ranks, from the environment of whoever started it: torchrun and our own supervisor
 * (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), Slurm's srun (SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, the
 * first host of the node list), or an indexed job of Kubernetes (JOB_COMPLETION_INDEX, with WORLD_SIZE and MASTER_ADDR
 * from its manifest).
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
    ...{ rank, worldSize, localRank, localWorldSize, address, port },
    // torchrun's agent keeps a store on MASTER_PORT and says so.
    storeIsServed: environment.TORCHELASTIC_USE_AGENT_STORE === 'True',
    life: environment.TORCHELASTIC_RESTART_COUNT ?? '0',
  };
}

/** The same as torchrun's variables: what the supervisor tells a rank, and what backends ask for. */
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

/** Slurm's step as torchrun's variables; undefined where there is none. */
function fromSlurm(slurm: NodeJS.ProcessEnv): NodeJS.ProcessEnv | undefined {
  if (slurm.SLURM_PROCID === undefined) return undefined;
  const nodes = slurm.SLURM_STEP_NODELIST ?? slurm.SLURM_NODELIST ?? slurm.SLURM_JOB_NODELIST ?? '';
  // `4(x2),3`: tasks on each node. Only whether there are several nodes matters to us, and how ranks share one.
  const tasks = /^\d+/.exec(slurm.SLURM_STEP_TASKS_PER_NODE ?? slurm.SLURM_TASKS_PER_NODE ?? '')?.[0];
  return {
    RANK: slurm.SLURM_PROCID,
    WORLD_SIZE: slurm.SLURM_STEP_NUM_TASKS ?? slurm.SLURM_NTASKS,
    LOCAL_RANK: slurm.SLURM_LOCALID,
    LOCAL_WORLD_SIZE: tasks ?? slurm.SLURM_NTASKS_PER_NODE,
    MASTER_ADDR: slurm.MASTER_ADDR ?? firstHost(nodes),
    // The same on all ranks, and another one for another job on the same host.
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
