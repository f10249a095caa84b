/** The code of a thread that makes chunks of levels. */
import { gzipSync } from 'node:zlib';
import type { Vec3 } from '../../vec3';
import { answerJobs } from '../../volume/store/threads';
import { coarsen } from './coarsen';
import { type Scaling, store } from './stored-numbers';

/** Whole layers of boxes of a volume, to be stored. */
export interface LevelJob extends Scaling {
  readonly voxels: Float32Array;
  readonly size: Vec3;
  readonly factors: Vec3;
}

/** Fast: a slow connection is rarer than a large volume, and the best level saves a tenth more for three times the time. */
const GZIP_LEVEL = 1;

answerJobs(makeChunk, (bytes) => [bytes.buffer as ArrayBuffer]);

async function makeChunk({ voxels, size, factors, ...scaling }: LevelJob): Promise<Uint8Array> {
  const { buffer } = store(coarsen(voxels, size, factors), scaling);
  // A small result would lie in a buffer that others share, which cannot be handed over.
  return new Uint8Array(gzipSync(Buffer.from(buffer), { level: GZIP_LEVEL }));
}
