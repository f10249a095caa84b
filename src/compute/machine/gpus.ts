/** The NVIDIA GPUs of this host: which there are, which may be used, and which one is asked for. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

/**
 * The GPUs that are built into this host, as CUDA_VISIBLE_DEVICES names them: indices, or for a GPU that is divided
 * (MIG) the names of its parts. As nvidia-smi lists them; where it is not on the path or does not answer, as the
 * driver's device files say. Empty where there are none.
 */
export function installedGpus(): string[] {
  try {
    const listed = execFileSync('nvidia-smi', ['-L'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 20_000,
    });
    const gpus = parseGpuList(listed);
    if (gpus.length > 0) return gpus;
  } catch {
    // Not on the path, or without a driver.
  }
  return deviceFiles();
}

/** `GPU 0: NVIDIA H200 (UUID: GPU-…)`, and below it, indented, `MIG 1g.18gb Device 0: (UUID: MIG-…)` where it is divided. */
export function parseGpuList(listed: string): string[] {
  const gpus: { index: string; parts: string[] }[] = [];
  for (const line of listed.split('\n')) {
    const index = /^GPU (\d+):/.exec(line)?.[1];
    const part = /^\s+MIG .*\(UUID: (MIG-[^)]+)\)/.exec(line)?.[1];
    if (index !== undefined) gpus.push({ index, parts: [] });
    else if (part !== undefined) gpus.at(-1)?.parts.push(part);
  }
  return gpus.flatMap(({ index, parts }) => (parts.length > 0 ? parts : [index]));
}

function deviceFiles(): string[] {
  try {
    const numbers = readdirSync('/dev').flatMap((name) => /^nvidia(\d+)$/.exec(name)?.[1] ?? []);
    return numbers.sort((a, b) => Number(a) - Number(b));
  } catch {
    return [];
  }
}

/** The GPUs that processes of this environment may use: those of CUDA_VISIBLE_DEVICES where it is set, else all. */
export function visibleGpus(environment: NodeJS.ProcessEnv = process.env): string[] {
  const wish = environment.CUDA_VISIBLE_DEVICES;
  if (wish === undefined) return installedGpus();
  const names = wish.split(',').map((name) => name.trim());
  // CUDA stops reading at the first name that is none.
  const end = names.findIndex((name) => name === '' || name === '-1');
  return end < 0 ? names : names.slice(0, end);
}

/** `cuda` or `cuda:1`, where PATCHWISE_DEVICE asks for a GPU: then nothing else will do. */
export function askedGpu(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const wish = environment.PATCHWISE_DEVICE;
  return wish?.startsWith('cuda') ? wish : undefined;
}

/**
 * What somebody whose GPUs are not used has to know: how many there are, why they are not used and what helps.
 * Undefined where this host has none, or PATCHWISE_DEVICE asks for the CPU.
 */
export function idleGpus(why: string): string | undefined {
  if (process.env.PATCHWISE_DEVICE === 'cpu') return undefined;
  const gpus = installedGpus();
  if (gpus.length === 0) return undefined;
  const hidden = process.env.CUDA_VISIBLE_DEVICES !== undefined && visibleGpus().length === 0;
  const reason = hidden ? `CUDA_VISIBLE_DEVICES="${process.env.CUDA_VISIBLE_DEVICES}" hides them` : why;
  return `this host has ${gpus.length} GPU(s), and the CPU computes: ${reason}`;
}
