/**
 * The native backend: tfjs's kernels and ours on libtorch, on the CPU or a GPU.
 *
 * Threads: one JavaScript thread has one table of tensors. Calls return when the work is done (CPU) or queued (CUDA).
 * libtorch's own threads belong to the process; PATCHWISE_THREADS sets how many, else the cores are shared out over
 * the ranks of this machine.
 */
import { totalmem } from 'node:os';
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
  // A container is ended without a word when it takes more than it may.
  const allowed = process.constrainedMemory();
  if (allowed && allowed < totalmem()) addon.limitMemory(allowed);
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
  const wish = process.env.PATCHWISE_DEVICE;
  const gpus = addon.gpus();
  if (gpus === 0) {
    if (!wish) return 'CPU';
    const why = `PATCHWISE_DEVICE asks for ${wish}, and libtorch sees no GPU`;
    throw new UnavailableBackend('libtorch', why, 'Unset it, or build from a libtorch with CUDA');
  }
  if (gpu >= gpus) {
    const why = `${wish ? `PATCHWISE_DEVICE asks for ${wish}` : `this is local rank ${gpu}`}, and libtorch sees ${gpus} GPU(s)`;
    const cure = `Use at most ${gpus} rank(s), or name a device: PATCHWISE_DEVICE=cuda:0, or cpu`;
    throw new UnavailableBackend('libtorch', why, cure);
  }
  addon.useCuda(gpu);
  return `CUDA:${gpu}`;
}
