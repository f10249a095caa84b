import { InvalidArgument } from '../errors';
import type { World } from './collective/collective';

/**
 * This process's place among the ranks, from the environment that torchrun, Slurm wrappers and our own supervisor
 * set: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT.
 * @throws InvalidArgument naming the variable that is missing or wrong
 */
export function worldFromEnvironment(environment: NodeJS.ProcessEnv): World {
  const worldSize = integer(environment, 'WORLD_SIZE', 1, Number.MAX_SAFE_INTEGER);
  const rank = integer(environment, 'RANK', 0, worldSize - 1);
  const localRank = integer(environment, 'LOCAL_RANK', 0, worldSize - 1);
  const port = integer(environment, 'MASTER_PORT', 1, 65535);
  const address = environment.MASTER_ADDR;
  if (!address) throw new InvalidArgument('MASTER_ADDR', 'the host of rank 0', address);
  // torchrun's agent keeps its own store on MASTER_PORT and says so; the next port is ours then.
  const occupied = environment.TORCHELASTIC_USE_AGENT_STORE === 'True';
  return { rank, worldSize, localRank, address, port: occupied ? port + 1 : port };
}

/** What the supervisor tells a rank. */
export function worldEnvironment(world: World): Record<string, string> {
  return {
    RANK: String(world.rank),
    WORLD_SIZE: String(world.worldSize),
    LOCAL_RANK: String(world.localRank),
    MASTER_ADDR: world.address,
    MASTER_PORT: String(world.port),
  };
}

function integer(environment: NodeJS.ProcessEnv, name: string, least: number, most: number): number {
  const text = environment[name];
  const value = Number(text);
  if (!text || !Number.isInteger(value) || value < least || value > most)
    throw new InvalidArgument(name, `a whole number from ${least} to ${most}, as torchrun sets it`, text);
  return value;
}
