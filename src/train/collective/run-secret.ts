import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { replaceFileBy, withPath } from '../../atomic-file';
import { UnreadableFile } from '../../errors';

/** 64 random hexadecimal digits. */
function makeSecret(): string {
  return randomBytes(32).toString('hex');
}

/** How often a process reads, every 50 ms, a secret that another one writes. */
const looks = { owner: 20, others: 300 };

/**
 * The secret by which the ranks of a run know one another: the file `secret` in its folder, which only its owner can
 * read. Ranks of all launchers and hosts see it there. The first caller makes it.
 * @param isOwner whether this process has the run and may replace a damaged secret
 * @throws UnreadableFile if it is not a secret, or another user's
 */
export async function runSecret(runDir: string, isOwner = false): Promise<string> {
  const path = join(runDir, 'secret');
  if (!existsSync(path)) makeOnce(path);
  hideFromOthers(path);
  for (let look = 1; ; look++) {
    const secret = readSecret(path);
    if (/^[0-9a-f]{64}$/.test(secret)) return secret;
    if (isOwner && look === looks.owner) {
      console.error(`${path} is damaged: another secret is made`);
      replaceFileBy(path, (temporary) => writeFileSync(temporary, makeSecret(), { mode: 0o600 }));
    }
    if (look === looks.others)
      throw new UnreadableFile(path, 'a secret of 64 hexadecimal digits', 'something else; remove this file');
    await pause(50);
  }
}

/** Makes it whole or not at all, even on a full disk. Another rank may be faster. */
function makeOnce(path: string): void {
  const temporary = `${path}.${process.pid}.${makeSecret().slice(0, 8)}.tmp`;
  try {
    writeFileSync(temporary, makeSecret(), { flag: 'wx', mode: 0o600 });
    try {
      linkSync(temporary, path);
    } catch {
      copyFileSync(temporary, path, constants.COPYFILE_EXCL); // some file systems have no links
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw withPath(error, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function readSecret(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'EACCES' ? "another user's: only the owner of a run starts its ranks" : String(code);
    throw new UnreadableFile(path, 'the secret of a run', why, { cause });
  }
}

/** Copies of a folder may lose the modes of its files. */
function hideFromOthers(path: string): void {
  try {
    chmodSync(path, 0o600);
  } catch {
    // Another user's file, or a file system without modes.
  }
}
