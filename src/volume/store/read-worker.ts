/** What a reading thread runs: boxes of any images, the last images used kept open. */

import { type Box, ChunkDecoder } from './chunk-decoder';
import type { ImageRecord } from './format';
import { ImageReader } from './image-reader';
import { answerJobs } from './thread-loop';

/** A box to read, with all that is needed to find it. */
export interface ReadJob {
  readonly folder: string;
  readonly record: ImageRecord;
  readonly box: Box;
}

/** An open image is a file descriptor and its index, some 100 KB. */
const keptOpen = 32;
const open = new Map<string, ImageReader>();
const decoder = new ChunkDecoder();

async function readBox({ folder, record, box }: ReadJob): Promise<Float32Array> {
  const reader = open.get(folder) ?? ImageReader.open(folder, record, decoder);
  // Put last again: the map's first is the one that was not used for longest.
  open.delete(folder);
  open.set(folder, reader);
  if (open.size > keptOpen) forget([...open.keys()][0]!);
  try {
    return await reader.read(box);
  } catch (error) {
    // A volume that was prepared again is another file under the same name.
    forget(folder);
    throw error;
  }
}

function forget(folder: string): void {
  open.get(folder)?.close();
  open.delete(folder);
}

answerJobs(readBox, (voxels) => [voxels.buffer as ArrayBuffer]);
