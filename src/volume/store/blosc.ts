import type { Codec } from 'numcodecs';
import type { StoredType } from '../datatypes';
import { bloscConfiguration } from './format';

/** The codec of an array's chunks. It encodes as the store does for this type, and decodes every blosc there is. */
export async function blosc(type: StoredType): Promise<Codec> {
  // numcodecs is an ES module, which CommonJS can only import so.
  const { default: Blosc } = await import('numcodecs/blosc');
  const { cname, clevel, shuffle, blocksize } = bloscConfiguration(type);
  return Blosc.fromConfig({
    id: 'blosc',
    cname,
    clevel,
    blocksize,
    shuffle: shuffle === 'bitshuffle' ? 2 : 0,
  });
}
