/** Which GPU each rank of a host gets. */
import { askedGpu, visibleGpus } from '../../compute/machine/gpus';
import { rankGpu } from '../../compute/machine/threads';

/** Set by `pinGpu` if several ranks have this GPU. */
const sharedVariable = 'PATCHWISE_GPU_IS_SHARED';

/** Environment that shows a rank one GPU only. Ranks share GPUs if the host has more ranks than GPUs. */
export function pinGpu(localRank: number, gpus: readonly string[], ranks: number): Record<string, string> {
  // A user who names a GPU counts those that are visible now.
  if (gpus.length === 0 || askedGpu()?.includes(':')) return {};
  const own = {
    CUDA_VISIBLE_DEVICES: gpus[localRank % gpus.length]!,
    PATCHWISE_GPU: '0',
    // nvidia-smi numbers GPUs by slot, CUDA by speed. Numbers that the user has set are in CUDA's order.
    ...(process.env.CUDA_VISIBLE_DEVICES === undefined && { CUDA_DEVICE_ORDER: 'PCI_BUS_ID' }),
  };
  return ranks > gpus.length ? { ...own, [sharedVariable]: '1' } : own;
}

/** Whether ranks of this host share a GPU, which NCCL refuses. */
export function sharesGpu(ranksHere: number, environment: NodeJS.ProcessEnv = process.env): boolean {
  if (askedGpu(environment)?.includes(':')) return ranksHere > 1;
  if (environment.PATCHWISE_GPU !== undefined) return environment[sharedVariable] === '1';
  return ranksHere > visibleGpus(environment).length;
}

/** This rank's GPU, as nvidia-smi names it; undefined on the CPU. */
export function ownGpu(): string | undefined {
  const gpu = rankGpu();
  return gpu === undefined ? undefined : visibleGpus()[gpu];
}
