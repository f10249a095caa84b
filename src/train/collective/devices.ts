/** Which GPU each rank of a host gets. */
import { askedGpu, visibleGpus } from '../../compute/machine/gpus';
import { rankGpu } from '../../compute/machine/threads';

/** Says that another rank has the same GPU; set by whoever pins ranks to GPUs. */
const sharedVariable = 'PATCHWISE_GPU_IS_SHARED';

/**
 * Environment that shows a rank one GPU only: its own, or where the ranks of this host outnumber its GPUs, one that it
 * shares.
 */
export function pinGpu(localRank: number, gpus: readonly string[], ranks: number): Record<string, string> {
  // Who names a GPU means one of those that are visible now.
  if (gpus.length === 0 || askedGpu()?.includes(':')) return {};
  const own = {
    CUDA_VISIBLE_DEVICES: gpus[localRank % gpus.length]!,
    PATCHWISE_GPU: '0',
    // nvidia-smi counts GPUs by their slot, CUDA by their speed. Who has set the names counted in CUDA's order.
    ...(process.env.CUDA_VISIBLE_DEVICES === undefined && { CUDA_DEVICE_ORDER: 'PCI_BUS_ID' }),
  };
  return ranks > gpus.length ? { ...own, [sharedVariable]: '1' } : own;
}

/** Whether ranks of this host have a GPU in common, which NCCL refuses. */
export function sharesGpu(ranksHere: number, environment: NodeJS.ProcessEnv = process.env): boolean {
  if (askedGpu(environment)?.includes(':')) return ranksHere > 1;
  if (environment.PATCHWISE_GPU !== undefined) return environment[sharedVariable] === '1';
  return ranksHere > visibleGpus(environment).length;
}

/** The GPU that this rank computes on, as nvidia-smi knows it; undefined where it computes on the CPU. */
export function ownGpu(): string | undefined {
  const gpu = rankGpu();
  return gpu === undefined ? undefined : visibleGpus()[gpu];
}
