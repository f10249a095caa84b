import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { UnreadableFile } from '../errors';

const bytes = 32;

/** A secret nobody can guess: 64 hexadecimal digits. */
export function makeSecret(): string {
  return randomBytes(bytes).toString('hex');
}

/**
 * The secret by which the ranks of a run know one another: `secret` in its folder, which only its owner can read. All
 * ranks see it there, whoever starts them and on whatever host. The first that asks for it makes it.
 * @throws UnreadableFile if it is not a secret, or another user's
 */
export async function runSecret(runDir: string): Promise<string> {
  const path = join(runDir, 'secret');
  try {
    const file = openSync(path, 'wx', 0o600);
    try {
      writeSync(file, makeSecret());
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    hideFromOthers(path);
  }
  // Another rank may have made it a moment ago, and not have filled it yet.
  for (let tries = 0; ; tries++) {
    const secret = readSecret(path);
    if (/^[0-9a-f]{64}$/.test(secret)) return secret;
    if (tries === 100)
      throw new UnreadableFile(path, 'a secret of 64 hexadecimal digits', 'something else; remove this file');
    await pause(50);
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

/** A copied folder may have lost its modes. Some file systems have none. */
function hideFromOthers(path: string): void {
  try {
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
  } catch {
    // Not ours to change, or a file system without modes.
  }
}
