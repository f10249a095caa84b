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
import { askedGpu, idleGpus } from '../gpus';
import { registerKernels } from '../kernels';
import { rankGpu, rankThreads } from '../threads';
import { buildCommand } from '../toolchain';
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
  /** Why GPUs that are here are not used. */
  readonly warning?: string;
}

/** Loads the built addon as tfjs backend `libtorch`. @throws UnavailableBackend with the command that builds it. */
export async function loadLibtorch(): Promise<LibtorchFacts> {
  const build = requireBuild();
  const addon = loadAddon(addonPath());
  const threads = addon.threads(rankThreads());
  const { device, warning } = chooseDevice(addon);
  // A container is ended without a word when it takes more than it may.
  const allowed = process.constrainedMemory();
  if (allowed && allowed < totalmem()) addon.limitMemory(allowed);
  const tensors = new LibtorchTensors(addon);
  tf.registerBackend('libtorch', () => tensors);
  const onHost = await registerStockKernels('libtorch', tensors);
  registerKernels('libtorch', libtorchKernels(tensors));
  const cudnn = device === 'CPU' ? '' : `, cuDNN ${cudnnName(addon.cudnn())}`;
  const version = `libtorch ${addon.version}${cudnn} (${build.from})`;
  return { device, threads, onHost, version, ...(warning !== undefined && { warning }) };
}

/** The GPU of this rank where libtorch has one. @throws UnavailableBackend where it was asked for and is not here. */
function chooseDevice(addon: Addon): { device: string; warning?: string } {
  const gpu = rankGpu();
  if (gpu === undefined) return { device: 'CPU' };
  const wish = askedGpu();
  const gpus = addon.gpus();
  if (gpus === 0) {
    const problem = addon.cudaProblem();
    const cure = cureOf(problem);
    if (!wish) {
      const warning = idleGpus(`libtorch sees none (${problem}). ${cure}`);
      return { device: 'CPU', ...(warning !== undefined && { warning }) };
    }
    throw new UnavailableBackend(
      'libtorch',
      `PATCHWISE_DEVICE asks for ${wish}, and libtorch sees no GPU (${problem})`,
      `${cure}, or unset PATCHWISE_DEVICE to compute on the CPU`,
    );
  }
  if (gpu >= gpus) {
    const why = `${wish ? `PATCHWISE_DEVICE asks for ${wish}` : `this is local rank ${gpu}`}, and libtorch sees ${gpus} GPU(s)`;
    const cure = `Use at most ${gpus} rank(s), or name a device: PATCHWISE_DEVICE=cuda:0, or cpu`;
    throw new UnavailableBackend('libtorch', why, cure);
  }
  addon.useCuda(gpu);
  return { device: `CUDA:${gpu}` };
}

/** What helps where libtorch sees no GPU, by CUDA's words. */
export function cureOf(problem: string): string {
  if (/without CUDA/i.test(problem))
    return `Install a PyTorch with CUDA (\`.venv/bin/pip install torch\`), then \`${buildCommand('libtorch')}\``;
  if (/too old/i.test(problem)) return 'Update the NVIDIA driver, or build from a PyTorch for an older CUDA';
  if (/no NVIDIA driver/i.test(problem))
    return 'Install the NVIDIA driver; `nvidia-smi` says whether it answers';
  return 'See whether `nvidia-smi` lists the GPUs, and whether CUDA_VISIBLE_DEVICES hides them';
}

/** 91501 is 9.15.1; before version 9 it was 8902 for 8.9.2. */
export function cudnnName(version: number): string {
  const [major, minor] = version >= 90_000 ? [10_000, 100] : [1000, 100];
  return [Math.floor(version / major), Math.floor((version % major) / minor), version % minor].join('.');
}
