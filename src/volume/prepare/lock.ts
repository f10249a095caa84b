import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { placeError, withPath } from '../../atomic-file';
import { InvalidArgument } from '../../errors';
import { identify, isAlive } from '../../process-identity';

/** A process that was killed with much memory needs a while to be gone, and one that takes the lock to write its name. */
const patience = { looks: 20, looksAtEmpty: 5, betweenMs: 100 };

/**
 * Keeps a second call from writing to the same folder until this one is done, or its process is gone. Gives what lifts
 * the lock. Throws InvalidArgument if the folder is taken, or cannot be written.
 */
export async function lockStore(output: string): Promise<() => void> {
  const path = join(output, '.lock');
  const mine = `${hostname()} ${process.pid} ${identify(process.pid)?.started}`;
  for (let look = 1; ; look++) {
    try {
      writeFileSync(path, mine, { flag: 'wx' });
      return () => {
        if (read(path) === mine) rmSync(path, { force: true });
      };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST') throw placeError('output', output, withPath(error, path));
    }
    const holder = read(path);
    const empty = holder === '' && look < patience.looksAtEmpty;
    if (!empty && !isHeld(holder)) removeStale(path, holder);
    else if (look >= patience.looks || holder === mine) {
      const expected = `a folder nobody else prepares (if ${holder} is no more, remove ${path})`;
      throw new InvalidArgument('output', expected, output);
    } else await sleep(patience.betweenMs);
  }
}

/** Milliseconds after which who was removing a lock is taken for gone. */
const longestRemoval = 10_000;

/**
 * Removes the lock of a process that is gone. One call at a time may, so that none removes the lock that another has put
 * in its place meanwhile.
 */
function removeStale(path: string, holder: string): void {
  const guard = `${path}.removing`;
  try {
    writeFileSync(guard, '', { flag: 'wx' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST') throw placeError('output', dirname(path), error);
    const since = statSync(guard, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - since > longestRemoval) rmSync(guard, { force: true });
    return;
  }
  try {
    if (existsSync(path) && read(path) === holder) rmSync(path, { force: true });
  } finally {
    rmSync(guard, { force: true });
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
function isHeld(holder: string): boolean {
  const [host, pid, ...started] = holder.split(' ');
  if (!pid) return false;
  return host !== hostname() || isAlive({ pid: Number(pid), started: started.join(' ') });
}
