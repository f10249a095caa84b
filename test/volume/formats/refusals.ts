import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { isPatchwiseError } from '../../../src/errors';
import { readVolume } from '../../../src/volume/read';
import { temporaryFolder } from '../folder';

/** A folder for files of text and voxels, and what reading one of them says. */
export function fileFolder() {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder(), name);
  const put = (name: string, ...parts: readonly (string | Uint8Array)[]) => {
    writeFileSync(at(name), Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array))));
    return at(name);
  };
  /** The message of the refusal, which is an error of ours. */
  const refusal = async (path: string): Promise<string> => {
    const failure = await readVolume(path).catch((reason: unknown) => reason);
    expect(isPatchwiseError(failure, 'UnreadableFile'), `${failure}`).toBe(true);
    return (failure as Error).message.replace(path, 'FILE').replaceAll(folder(), 'FOLDER');
  };
  return { at, put, refusal };
}

/** 60 voxels of int16. */
export const voxels = new Uint8Array(Int16Array.from({ length: 60 }, (_, n) => 37 * n - 1024).buffer);
