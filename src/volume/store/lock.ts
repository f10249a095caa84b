import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { InvalidArgument } from '../../errors';

/**
 * Keeps a second `prepareDataset` from the same folder until this one is done, or its process is gone. Returns what
 * lifts the lock. Throws InvalidArgument where the folder is taken.
 */
export function lockStore(output: string): () => void {
  const path = join(output, '.lock');
  const mine = `${hostname()} ${process.pid}`;
  for (;;) {
    try {
      writeFileSync(path, mine, { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST')
        throw new InvalidArgument('output', `a folder that can be written (${code})`, output);
    }
    const holder = read(path);
    if (isAlive(holder)) {
      const expected = `a folder nobody else prepares (if ${holder} is no more, remove ${path})`;
      throw new InvalidArgument('output', expected, output);
    }
    rmSync(path, { force: true });
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** On another host nobody can tell, so it is taken for alive. */
function isAlive(holder: string): boolean {
  const [host, pid] = holder.split(' ');
  if (!pid) return false;
  if (host !== hostname()) return true;
  // Of this very process, a second call; of one that is gone, a file that a kill left.
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
