/** The memory and the open files of a process, as the system reports them. */
import { execFileSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';

/** Resident memory of a process in MB, with its children unless `alone`; 0 once it is gone. */
export async function memoryOf(pid: number, { alone = false } = {}): Promise<number> {
  if (process.platform !== 'linux') {
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)]).toString()) / 1000;
  }
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const own = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1000;
  if (alone) return own;
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const others = children.split(' ').filter((child) => /^\d+$/.test(child));
  return (await Promise.all(others.map((child) => memoryOf(Number(child))))).reduce(
    (sum, mb) => sum + mb,
    own,
  );
}

/** Open files and sockets of a process; undefined if the system does not tell. */
export async function openFilesOf(pid: number): Promise<number | undefined> {
  return readdir(`/proc/${pid}/fd`).then(
    (names) => names.length,
    () => undefined,
  );
}
