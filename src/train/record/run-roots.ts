/**
 * The folders in which this user has started runs, so that an id finds its run from any folder: one path a line, the
 * latest first, in the user's cache. Nothing depends on it: where it cannot be kept, an id is looked up in one folder.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { replaceFile } from '../../atomic-file';
import { makeFolder } from '../../make-folder';

const MOST = 50;

export function rememberRunsRoot(root: string): void {
  const known = knownRunsRoots();
  if (known[0] === root || /\n/.test(root)) return;
  const roots = [root, ...known.filter((other) => other !== root)].slice(0, MOST);
  try {
    makeFolder(dirname(listPath()));
    replaceFile(listPath(), `${roots.join('\n')}\n`);
  } catch {
    // A home that cannot be written to: the run goes on without.
  }
}

/** Those that are still there. */
export function knownRunsRoots(): string[] {
  try {
    return readFileSync(listPath(), 'utf8')
      .split('\n')
      .filter((root) => root !== '' && existsSync(root));
  } catch {
    return [];
  }
}

function listPath(): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(cache, 'patchwise', 'runs-folders');
}
