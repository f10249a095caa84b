/** How much of this machine one rank may use. */
import { availableParallelism } from 'node:os';
import { InvalidArgument } from '../../errors';

/** Threads for each of the ranks of this machine: PATCHWISE_THREADS, else the cores shared out over them. */
export function rankThreads(ranksHere = launchedRanks()): number {
  const wish = process.env.PATCHWISE_THREADS;
  if (wish) {
    const threads = Number(wish);
    if (!Number.isInteger(threads) || threads < 1)
      throw new InvalidArgument('PATCHWISE_THREADS', 'a whole number from 1', wish);
    return threads;
  }
  return Math.max(1, Math.floor(availableParallelism() / ranksHere));
}

/** How many ranks this one's launcher has started on this machine. */
function launchedRanks(): number {
  return Number(process.env.LOCAL_WORLD_SIZE ?? process.env.WORLD_SIZE ?? 1) || 1;
}

/**
 * The GPU of the current rank, by PATCHWISE_DEVICE (`cpu`, `cuda`, `cuda:1`), else by its local rank; undefined for
 * the CPU.
 *
 * @throws InvalidArgument for another device.
 */
export function rankGpu(): number | undefined {
  const wish = process.env.PATCHWISE_DEVICE || 'cuda';
  if (wish === 'cpu') return undefined;
  const named = /^cuda(?::(\d+))?$/.exec(wish);
  if (!named) throw new InvalidArgument('PATCHWISE_DEVICE', 'a device', wish, ['cpu', 'cuda', 'cuda:N']);
  // A supervisor that shows each rank its own GPU alone says so.
  return Number(named[1] ?? process.env.PATCHWISE_GPU ?? process.env.LOCAL_RANK ?? 0);
}
