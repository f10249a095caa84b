/** The NVIDIA GPUs of this host: which there are, which may be used, and which one is asked for. */

import { execFile, execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { attempt } from '../../errors';

/**
 * The GPUs of this host, as CUDA_VISIBLE_DEVICES names them: indices, or for a GPU that is divided (MIG) the names of its
 * parts. nvidia-smi lists them; where it does not answer, the driver's device files do. Empty where there are none.
 */
export function installedGpus(): string[] {
  const gpus = parseGpuList(listGpus() ?? '');
  return gpus.length > 0 ? gpus : deviceFiles();
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
  const names = attempt(() => readdirSync('/dev')) ?? [];
  const numbers = names.flatMap((name) => /^nvidia(\d+)$/.exec(name)?.[1] ?? []);
  return numbers.sort((a, b) => Number(a) - Number(b));
}

/** The GPUs that processes of this environment may use: those of CUDA_VISIBLE_DEVICES where it is set, else all. */
export function visibleGpus(environment: NodeJS.ProcessEnv = process.env): string[] {
  const wish = environment.CUDA_VISIBLE_DEVICES;
  if (wish === undefined) return installedGpus();
  const names = wish.split(',').map((name) => name.trim());
  // CUDA stops reading at the first name that is no GPU's.
  const end = names.findIndex((name) => name === '' || name === '-1');
  return end < 0 ? names : names.slice(0, end);
}

/** `cuda` or `cuda:1`, where PATCHWISE_DEVICE asks for a GPU; then the CPU will not do. */
export function askedGpu(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const wish = environment.PATCHWISE_DEVICE;
  return wish?.startsWith('cuda') ? wish : undefined;
}

/**
 * A warning for users whose GPUs are idle: how many there are, why they are not used and what helps. Undefined where this
 * host has none, or PATCHWISE_DEVICE asks for the CPU.
 */
export function idleGpus(why: string): string | undefined {
  if (process.env.PATCHWISE_DEVICE === 'cpu') return undefined;
  const gpus = installedGpus();
  if (gpus.length === 0) return undefined;
  const hidden = process.env.CUDA_VISIBLE_DEVICES !== undefined && visibleGpus().length === 0;
  const reason = hidden ? `CUDA_VISIBLE_DEVICES="${process.env.CUDA_VISIBLE_DEVICES}" hides them` : why;
  return `this host has ${gpus.length} GPU(s), and the CPU computes: ${reason}`;
}

/** Without a daemon that keeps it awake, a driver takes seconds to answer for each GPU. */
const TIMEOUT = 20_000;

/** What `nvidia-smi -L` prints; undefined where it is not on the path or does not answer. */
function listGpus(): string | undefined {
  const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
  return attempt(() => execFileSync('nvidia-smi', ['-L'], { encoding: 'utf8', stdio, timeout: TIMEOUT }));
}

/**
 * The values of fields, such as `memory.used`, of each GPU or of the one that is named; undefined where nvidia-smi is
 * not on the path or does not answer. Numbers come with their unit.
 */
export async function queryGpus(fields: readonly string[], gpu?: string): Promise<string[][] | undefined> {
  const one = gpu === undefined ? [] : [`--id=${gpu}`];
  const query = [...one, `--query-gpu=${fields.join(',')}`, '--format=csv,noheader'];
  try {
    const { stdout } = await promisify(execFile)('nvidia-smi', query, { timeout: TIMEOUT });
    const lines = stdout.trim().split('\n').filter(Boolean);
    return lines.map((line) => line.split(',').map((value) => value.trim()));
  } catch {
    return undefined;
  }
}
