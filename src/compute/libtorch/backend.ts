/**
 * The native backend: tfjs's kernels and ours on libtorch, on the CPU or a GPU.
 *
 * Threads: one JavaScript thread has one table of tensors. Calls return when the work is done (CPU) or queued (CUDA).
 * libtorch's own threads belong to the process. PATCHWISE_THREADS sets how many; by default the ranks of this machine
 * share out the cores.
 */
import { totalmem } from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
import { UnavailableBackend } from '../../errors';
import { type Backend, type Precision, precisions } from '../contract/backend';
import { askedGpu, hiddenGpus, idleGpus } from '../machine/gpus';
import { rankGpu, rankThreads } from '../machine/threads';
import { buildCommand } from '../machine/toolchain';
import { type Addon, loadAddon } from './addon';
import { addonPath, requireBuild } from './built';
import { libtorchKernels, libtorchOptimiser } from './patchwise-kernels';
import { registerStockKernels } from './stock-kernels';
import { LibtorchTensors } from './tensors';

/** Loads the built addon. @throws UnavailableBackend with the command that builds it. */
export async function loadLibtorch(): Promise<Backend> {
  const build = requireBuild();
  const addon = loadAddon(addonPath());
  addon.threads(rankThreads());
  const { device, warning } = chooseDevice(addon);
  // The system kills a container that takes more than it may, without a word.
  const allowed = process.constrainedMemory();
  if (allowed && allowed < totalmem()) addon.limitMemory(allowed);
  const cudnn = device === 'CPU' ? '' : `, cuDNN ${cudnnName(addon.cudnn())}`;
  const version = `libtorch ${addon.version}${cudnn} (${build.from})`;
  return { ...(await libtorchBackend(addon, device)), version, warning };
}

/** The backend of an addon whose threads and device are chosen. */
export async function libtorchBackend(addon: Addon, device: string): Promise<Backend> {
  const onGpu = device !== 'CPU';
  const tensors = new LibtorchTensors(addon);
  tf.registerBackend('libtorch', () => tensors);
  return {
    name: 'libtorch',
    device,
    threads: addon.threads(0),
    version: addon.version,
    onHost: await registerStockKernels('libtorch', tensors),
    kernels: libtorchKernels(tensors),
    optimiser: libtorchOptimiser(tensors),
    libtorch: { version: addon.version, address: (tensor) => addon.address(tensors.handle(tensor)) },
    precisions: onGpu ? precisions : ['float32', 'bf16'],
    setPrecision: (precision) => setPrecision(addon, precision, onGpu),
    memory: () => addon.memory(),
  };
}

function setPrecision(addon: Addon, precision: Precision, onGpu: boolean): void {
  const problem = onGpu ? precisionProblem(precision, addon.version, addon.cudnn()) : undefined;
  const cure = 'Use precision float32, or PyTorch 2.9.1 or newer with cuDNN 9.15 or newer';
  if (problem !== undefined) throw new UnavailableBackend('libtorch', problem, cure);
  addon.halfStorage(precision === 'bf16');
  if (onGpu) addon.tf32(precision === 'tf32');
}

/**
 * Why not to compute 3D convolutions in a precision on GPUs with these versions; undefined if they are right. cuDNN 9.8 to
 * 9.14 computes wrong values in bf16 on large volumes (pytorch#163539), 9.10 to 9.14 in tf32 (pytorch#167024). PyTorch
 * 2.9.0 does not use cuDNN for bf16, which takes 4 times as long and up to 17 times the memory (pytorch#166643).
 */
export function precisionProblem(precision: Precision, torch: string, cudnn: number): string | undefined {
  if (precision === 'bf16' && torch.startsWith('2.9.0'))
    return `PyTorch ${torch} computes 3D convolutions in bf16 without cuDNN`;
  const firstWrong = { float32: Number.POSITIVE_INFINITY, tf32: 91_000, bf16: 90_800 }[precision];
  if (cudnn >= firstWrong && cudnn < 91_500)
    return `cuDNN ${cudnnName(cudnn)} computes wrong 3D convolutions in ${precision} on large volumes`;
  return undefined;
}

/** Takes the GPU of this rank, if libtorch has one. @throws UnavailableBackend if it was asked for and is not here. */
function chooseDevice(addon: Addon): { device: string; warning?: string | undefined } {
  const gpu = rankGpu();
  if (gpu === undefined) return { device: 'CPU' };
  const wish = askedGpu();
  const asks = `PATCHWISE_DEVICE asks for ${wish}`;
  const gpus = addon.gpus();
  if (gpus === 0) {
    const found = addon.cudaProblem();
    const { problem, cure } = hiddenGpus() ?? { problem: found, cure: cureOf(found) };
    if (!wish) return { device: 'CPU', warning: idleGpus(`libtorch sees none (${problem}). ${cure}`) };
    throw new UnavailableBackend(
      'libtorch',
      `${asks}, and libtorch sees no GPU (${problem})`,
      `${cure}, or unset PATCHWISE_DEVICE to compute on the CPU`,
    );
  }
  if (gpu >= gpus) {
    const why = `${wish ? asks : `this is local rank ${gpu}`}, and libtorch sees ${gpus} GPU(s)`;
    const cure = `Use at most ${gpus} rank(s), or name a device: PATCHWISE_DEVICE=cuda:0, or cpu`;
    throw new UnavailableBackend('libtorch', why, cure);
  }
  addon.useCuda(gpu);
  return { device: `CUDA:${gpu}` };
}

/** What helps if libtorch sees no GPU, by CUDA's words. */
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
