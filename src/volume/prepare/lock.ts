import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { placeError, withPath } from '../../atomic-file';
import { attempt, InvalidArgument } from '../../errors';
import { identify, isAlive } from '../../process-identity';

/** A killed process with much memory takes a while to end, and a new holder takes a while to write its name. */
const patience = { looks: 20, looksAtEmpty: 5, betweenMs: 100 };

/**
 * Locks a folder against other calls until this call ends or its process dies. Returns a function that unlocks it. Throws
 * InvalidArgument if the folder is locked or cannot be written.
 */
export async function lockStore(output: string): Promise<() => void> {
  const path = join(output, '.lock');
  const mine = `${hostname()} ${process.pid} ${identify(process.pid)?.started}`;
  let looksAtEmpty = 0;
  for (let look = 1; ; look++) {
    try {
      writeFileSync(path, mine, { flag: 'wx' });
      return () => {
        if (read(path) === mine) rmSync(path, { force: true });
      };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST') {
        // A full disk holds the new file, but not its text.
        if (code === 'ENOSPC' || code === 'EDQUOT') rmSync(path, { force: true });
        throw placeError('output', output, withPath(error, path));
      }
    }
    const holder = read(path);
    looksAtEmpty = holder === '' ? looksAtEmpty + 1 : 0;
    const mayBeNew = holder === '' && looksAtEmpty < patience.looksAtEmpty;
    if (!mayBeNew && !isHeld(holder)) removeStale(path, holder);
    else if (look >= patience.looks || holder === mine) {
      const expected = `a folder that nobody else prepares (if ${holder} has ended, remove ${path})`;
      throw new InvalidArgument('output', expected, output);
    } else await sleep(patience.betweenMs);
  }
}

/** Milliseconds after which a process that removes a lock counts as dead. */
const longestRemoval = 10_000;

/**
 * Removes the lock of a dead process. Only one call at a time may do so. Otherwise it could remove the new lock that
 * another call has just made.
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
  return attempt(() => readFileSync(path, 'utf8')) ?? '';
}

/** Whether the holder lives. A process on another host counts as alive, because nobody can tell. */
function isHeld(holder: string): boolean {
  const [host, pid, ...started] = holder.split(' ');
  if (!pid) return false;
  return host !== hostname() || isAlive({ pid: Number(pid), started: started.join(' ') });
}
