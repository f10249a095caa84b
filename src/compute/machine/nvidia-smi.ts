/** Asks the program of NVIDIA's driver about the GPUs of this host. */
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';

/** Without a daemon that keeps it awake, a driver takes seconds to answer for each GPU. */
const TIMEOUT = 20_000;

/** What `nvidia-smi -L` prints; undefined where it is not on the path or does not answer. */
export function listGpus(): string | undefined {
  try {
    const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
    return execFileSync('nvidia-smi', ['-L'], { encoding: 'utf8', stdio, timeout: TIMEOUT });
  } catch {
    return undefined;
  }
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
