import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What zarrita reads from: files of a folder, whole, from an offset on, or their last bytes. */
export function folderStore(dir: string) {
  const get = async (key: string) => {
    const file = join(dir, key);
    return existsSync(file) ? new Uint8Array(readFileSync(file)) : undefined;
  };
  type Range = { offset: number; length: number } | { suffixLength: number };
  const getRange = async (key: string, range: Range) => {
    const bytes = await get(key);
    if ('suffixLength' in range) return bytes?.slice(-range.suffixLength);
    return bytes?.slice(range.offset, range.offset + range.length);
  };
  return { get, getRange };
}
