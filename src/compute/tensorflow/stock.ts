/** The TensorFlow that tfjs-node was made for: Google's C library 2.9.1, if no other is here and it fits. */
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { makeFolder } from '../../make-folder';
import type { LongCall } from '../../progress';
import { queryGpus } from '../machine/gpus';
import { execute } from '../machine/toolchain';
import { type Tensorflow, tensorflowIn } from './locate';

const VERSION = '2.9.1';

/** From this compute capability on (Hopper), CUDA 11.2 and cuDNN 8.1 do not know the GPU. */
const TOO_NEW = 9;

/** Why the stock library does not fit this machine; undefined if it does. */
export async function misfit(gpu: boolean): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `there is no stock one for ${process.platform} ${process.arch}`;
  if (!gpu) return undefined;
  const newest = Math.max(...((await queryGpus(['compute_cap'])) ?? []).flat().map(Number));
  if (!(newest > 0))
    return 'nvidia-smi does not say which GPU is here, and the stock one serves older ones only';
  return newest >= TOO_NEW
    ? `the stock one (${VERSION}, CUDA 11.2) is too old for a GPU of compute capability ${newest}`
    : undefined;
}

/** Fetches and unpacks it. TFJS_NODE_CDN_STORAGE names another place, as for tfjs-node's own installer. */
export async function downloadStock(
  folder: string,
  gpu: boolean,
  { signal, onProgress }: LongCall,
): Promise<Tensorflow> {
  const host = process.env.TFJS_NODE_CDN_STORAGE ?? 'https://storage.googleapis.com/';
  const name = `libtensorflow-${gpu ? 'gpu' : 'cpu'}-linux-x86_64-${VERSION}.tar.gz`;
  const url = `${host}tensorflow/libtensorflow/${name}`;
  makeFolder(folder);
  const archive = join(folder, name);
  const response = await fetch(url, { signal }).catch((error: Error) => {
    throw new Error(`${url}: ${(error.cause as Error | undefined)?.message ?? error.message}`);
  });
  if (!response.ok || !response.body) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  const total = Number(response.headers.get('content-length') ?? 0);
  let done = 0;
  async function* counted(chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      done += chunk.length;
      const what = `fetching TensorFlow ${VERSION}, ${Math.round(done / 2 ** 20)} MiB`;
      onProgress?.({ done, total, what });
      yield chunk;
    }
  }
  const download = Readable.fromWeb(response.body as ReadableStream);
  await pipeline(download, counted, createWriteStream(archive), { signal });
  const tool = { backend: 'tensorflow', what: 'unpacking TensorFlow', signal } as const;
  await execute('tar', ['-xzf', archive, '-C', folder], tool);
  await rm(archive);
  const found = tensorflowIn(folder, `the stock TensorFlow ${VERSION}`);
  if (!found) throw new Error(`${url} has no TensorFlow in it`);
  return { ...found, cuda: gpu };
}
