/**
 * The native backend: tfjs's kernels and ours on libtorch, on the CPU or a GPU.
 *
 * Threads: one JavaScript thread has one table of tensors. Calls return when the work is done (CPU) or queued (CUDA).
 * libtorch's own threads belong to the process; PATCHWISE_THREADS sets how many, else the cores are shared out over
 * the ranks of this machine.
 */
import * as tf from '@tensorflow/tfjs-core';
import { UnavailableBackend } from '../../errors';
import { registerKernels } from '../kernels';
import { rankGpu, rankThreads } from '../threads';
import { type Addon, loadAddon } from './addon';
import { addonPath, requireBuild } from './built';
import { libtorchKernels } from './patchwise-kernels';
import { registerStockKernels } from './stock-kernels';
import { LibtorchTensors } from './tensors';

export interface LibtorchFacts {
  readonly device: string;
  readonly threads: number;
  readonly onHost: readonly string[];
  readonly version: string;
}

/** Loads the built addon as tfjs backend `libtorch`. @throws UnavailableBackend with the command that builds it. */
export async function loadLibtorch(): Promise<LibtorchFacts> {
  const build = requireBuild();
  const addon = loadAddon(addonPath());
  const threads = addon.threads(rankThreads());
  const device = chooseDevice(addon);
  const tensors = new LibtorchTensors(addon);
  tf.registerBackend('libtorch', () => tensors);
  const onHost = await registerStockKernels('libtorch', tensors);
  registerKernels('libtorch', libtorchKernels(tensors));
  return { device, threads, onHost, version: `libtorch ${addon.version} (${build.from})` };
}

/** The GPU of this rank where libtorch has one. @throws UnavailableBackend where it was asked for and is not here. */
function chooseDevice(addon: Addon): string {
  const gpu = rankGpu();
  if (gpu === undefined) return 'CPU';
  if (!addon.hasCuda()) {
    if (!process.env.PATCHWISE_DEVICE) return 'CPU';
    const why = `PATCHWISE_DEVICE asks for ${process.env.PATCHWISE_DEVICE}, and libtorch sees no GPU`;
    throw new UnavailableBackend('libtorch', why, 'Unset it, or build from a libtorch with CUDA');
  }
  addon.useCuda(gpu);
  return `CUDA:${gpu}`;
}
