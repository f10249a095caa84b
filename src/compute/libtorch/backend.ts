/**
 * The native backend: tfjs's kernels and ours on libtorch, on the CPU or a GPU.
 *
 * Threads: one JavaScript thread has one table of tensors. Calls return when the work is done (CPU) or queued (CUDA).
 * libtorch's own threads belong to the process; PATCHWISE_THREADS sets how many, else the cores are shared out over
 * the ranks of this machine.
 */
import { availableParallelism } from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
import { InvalidArgument } from '../../errors';
import { registerKernels } from '../kernels';
import { type Addon, loadAddon } from './addon';
import { addonPath, requireBuild } from './built';
import { libtorchKernels } from './patchwise-kernels';
import { registerStockKernels } from './stock-kernels';
import { LibtorchTensors } from './tensors';

export interface LibtorchFacts {
  readonly device: string;
  readonly threads: number;
  readonly version: string;
}

/** Loads the built addon as tfjs backend `libtorch`. @throws UnavailableBackend with the command that builds it. */
export async function loadLibtorch(): Promise<LibtorchFacts> {
  const build = requireBuild();
  const addon = loadAddon(addonPath());
  const threads = addon.threads(wantedThreads());
  const device = chooseDevice(addon);
  const tensors = new LibtorchTensors(addon);
  tf.registerBackend('libtorch', () => tensors);
  registerStockKernels('libtorch', tensors);
  registerKernels('libtorch', libtorchKernels(tensors));
  return { device, threads, version: `libtorch ${addon.version} (${build.from})` };
}

/** The GPU of this rank where libtorch has one. */
function chooseDevice(addon: Addon): string {
  if (process.env.PATCHWISE_DEVICE === 'cpu' || !addon.hasCuda()) return 'CPU';
  const local = Number(process.env.LOCAL_RANK ?? 0);
  addon.useCuda(local);
  return `CUDA:${local}`;
}

function wantedThreads(): number {
  const wish = process.env.PATCHWISE_THREADS;
  if (wish) {
    const threads = Number(wish);
    if (!Number.isInteger(threads) || threads < 1)
      throw new InvalidArgument('PATCHWISE_THREADS', 'a whole number from 1', wish);
    return threads;
  }
  const ranks = Number(process.env.LOCAL_WORLD_SIZE ?? process.env.WORLD_SIZE ?? 1) || 1;
  return Math.max(1, Math.floor(availableParallelism() / ranks));
}
