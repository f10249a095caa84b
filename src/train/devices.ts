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

/** Environment that shows a rank one GPU only: its own, or where ranks outnumber GPUs, one that it shares. */
export function pinGpu(localRank: number, gpus: readonly string[]): Record<string, string> {
  // Who names a GPU means one of those that are visible now.
  if (gpus.length === 0 || process.env.PATCHWISE_DEVICE?.includes(':')) return {};
  return { CUDA_VISIBLE_DEVICES: gpus[localRank % gpus.length]!, PATCHWISE_GPU: '0' };
}
