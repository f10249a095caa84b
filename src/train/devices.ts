import { execFileSync } from 'node:child_process';

/**
 * The GPUs that ranks on this host may use, as CUDA_VISIBLE_DEVICES names them: those of that variable where it is set,
 * else all that nvidia-smi lists. Empty where there are none.
 */
export function visibleGpus(environment: NodeJS.ProcessEnv = process.env): string[] {
  const wish = environment.CUDA_VISIBLE_DEVICES;
  if (wish !== undefined)
    return wish
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && name !== '-1');
  try {
    const found = execFileSync('nvidia-smi', ['--query-gpu=index', '--format=csv,noheader'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 20_000,
    });
    return found
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => /^\d+$/.test(line));
  } catch {
    return [];
  }
}

/** Says that another rank has the same GPU; set by whoever pins ranks to GPUs. */
const sharedVariable = 'PATCHWISE_GPU_IS_SHARED';

/**
 * Environment that shows a rank one GPU only: its own, or where the ranks of this host outnumber its GPUs, one that it
 * shares.
 */
export function pinGpu(localRank: number, gpus: readonly string[], ranks: number): Record<string, string> {
  // Who names a GPU means one of those that are visible now.
  if (gpus.length === 0 || process.env.PATCHWISE_DEVICE?.includes(':')) return {};
  const own = { CUDA_VISIBLE_DEVICES: gpus[localRank % gpus.length]!, PATCHWISE_GPU: '0' };
  return ranks > gpus.length ? { ...own, [sharedVariable]: '1' } : own;
}

/** Whether ranks of this host have a GPU in common, which NCCL refuses. */
export function sharesGpu(ranksHere: number, environment: NodeJS.ProcessEnv = process.env): boolean {
  if (environment.PATCHWISE_GPU !== undefined) return environment[sharedVariable] === '1';
  return ranksHere > visibleGpus(environment).length;
}
