/** The NVIDIA GPUs of this host: which there are, which may be used, and which one is asked for. */

import { execFile, execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { attempt } from '../../errors';

/** A card, and for one that is divided (MIG) the names of its parts. Without nvidia-smi nobody knows more than its number. */
interface Card {
  readonly index: string;
  readonly uuid?: string;
  readonly parts: readonly string[];
}

/** The GPUs of this host, as CUDA_VISIBLE_DEVICES names them: numbers as nvidia-smi has them, or names of parts. */
export function installedGpus(): string[] {
  return namesOf(cards());
}

/** nvidia-smi lists the cards. If it does not answer, the driver's device files that may be opened do. */
function cards(): Card[] {
  const listed = parseGpuList(listGpus() ?? '');
  if (listed.length > 0) return listed;
  // CUDA counts what it can open: a container with /dev/nvidia2 alone has a GPU 0.
  const open = deviceFiles().filter(({ refusal }) => refusal === undefined);
  return open.map((_, i) => ({ index: String(i), parts: [] }));
}

function namesOf(cards: readonly Card[]): string[] {
  return cards.flatMap(({ index, parts }) => (parts.length > 0 ? parts : [index]));
}

/** `GPU 0: NVIDIA H200 (UUID: GPU-…)`, and below it, indented, `MIG 1g.18gb Device 0: (UUID: MIG-…)` if it is divided. */
export function parseGpuList(listed: string): Card[] {
  const found: (Card & { parts: string[] })[] = [];
  for (const line of listed.split('\n')) {
    const [, index, uuid] = /^GPU (\d+):(?:.*\(UUID: (GPU-[^)]+)\))?/.exec(line) ?? [];
    const part = /^\s+MIG .*\(UUID: (MIG-[^)]+)\)/.exec(line)?.[1];
    if (index !== undefined) found.push({ index, ...(uuid !== undefined && { uuid }), parts: [] });
    else if (part !== undefined) found.at(-1)?.parts.push(part);
  }
  return found;
}

/** The driver's files, one for each card, and why this process may not open one. */
export function deviceFiles(folder = '/dev'): { file: string; refusal?: string }[] {
  const names = (attempt(() => readdirSync(folder)) ?? []).filter((name) => /^nvidia\d+$/.test(name));
  const files = names
    .sort((a, b) => Number(a.slice(6)) - Number(b.slice(6)))
    .map((name) => join(folder, name));
  return files.map((file) => {
    try {
      closeSync(openSync(file, 'r+'));
      return { file };
    } catch (error) {
      return { file, refusal: (error as NodeJS.ErrnoException).code ?? String(error) };
    }
  });
}

/**
 * The GPUs that processes of this environment may use: those of CUDA_VISIBLE_DEVICES if it is set, else all. As CUDA does,
 * it stops reading at the first name that is no GPU's, and takes none if one is named twice.
 */
export function visibleGpus(environment: NodeJS.ProcessEnv = process.env): string[] {
  const wish = environment.CUDA_VISIBLE_DEVICES;
  const all = cards();
  if (wish === undefined) return namesOf(all);
  const names = wish.split(',').map((name) => name.trim());
  const end = names.findIndex((name) => !isGpu(name, all));
  const taken = end < 0 ? names : names.slice(0, end);
  return new Set(taken).size === taken.length ? taken : [];
}

/** Whether a name of CUDA_VISIBLE_DEVICES is one of a card: its number, or enough of the UUID of it or of a part. */
function isGpu(name: string, cards: readonly Card[]): boolean {
  if (/^\d+$/.test(name)) return cards.some(({ index }) => Number(index) === Number(name));
  if (!/^(GPU|MIG)-/.test(name)) return false;
  const known = cards.flatMap(({ uuid, parts }) => (uuid === undefined ? [] : [uuid, ...parts]));
  // The names of parts were once made of the card's and two numbers: MIG-GPU-…/1/0.
  return known.length === 0 || name.startsWith('MIG-GPU-') || known.some((uuid) => uuid.startsWith(name));
}

/** `cuda` or `cuda:1`, where PATCHWISE_DEVICE asks for a GPU; then the CPU will not do. */
export function askedGpu(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const wish = environment.PATCHWISE_DEVICE;
  return wish?.startsWith('cuda') ? wish : undefined;
}

/** Why this process can use none of the host's GPUs, if its environment is the cause, and what helps. */
export function hiddenGpus(): { readonly problem: string; readonly cure: string } | undefined {
  const wish = process.env.CUDA_VISIBLE_DEVICES;
  if (installedGpus().length === 0) {
    const refused = deviceFiles().find(({ refusal }) => refusal !== undefined);
    if (!refused) return undefined;
    const cure = 'Ask for GPUs as you start the job or container (Slurm: --gres=gpu:1; Docker: --gpus all)';
    return { problem: `this process may not open ${refused.file} (${refused.refusal})`, cure };
  }
  if (wish === undefined || visibleGpus().length > 0) return undefined;
  const hides = wish === '' || wish.startsWith('-1') ? 'hides them' : 'names none of them';
  return {
    problem: `CUDA_VISIBLE_DEVICES="${wish}" ${hides}`,
    cure: 'Unset CUDA_VISIBLE_DEVICES, or name GPUs that `nvidia-smi -L` lists',
  };
}

/**
 * A warning for users whose GPUs are idle: how many there are, why they are not used and what helps. Undefined if this
 * host has none, or PATCHWISE_DEVICE asks for the CPU.
 */
export function idleGpus(why: string): string | undefined {
  if (process.env.PATCHWISE_DEVICE === 'cpu') return undefined;
  const count = installedGpus().length || deviceFiles().length;
  if (count === 0) return undefined;
  const hidden = hiddenGpus();
  const reason = hidden ? `${hidden.problem}. ${hidden.cure}` : why;
  return `this host has ${count} GPU(s), and the CPU computes: ${reason}`;
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
