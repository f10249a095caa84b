import type { Codec } from 'numcodecs';
import { bloscConfiguration } from './format';

let loaded: Promise<Codec> | undefined;

/** The codec of chunks. It decodes every blosc there is and encodes as the store does. */
export function blosc(): Promise<Codec> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Codec> {
  // numcodecs is an ES module, which CommonJS can only import so.
  const { default: Blosc } = await import('numcodecs/blosc');
  const { cname, clevel, blocksize } = bloscConfiguration;
  const bitshuffle = 2;
  return Blosc.fromConfig({ id: 'blosc', cname, clevel, blocksize, shuffle: bitshuffle });
}
