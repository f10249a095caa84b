/** A reading thread: it reads boxes of any images and keeps the last ones open. */

import { type Box, ChunkDecoder } from './chunk-decoder';
import type { ImageRecord } from './format';
import { ImageReader } from './image-reader';
import { answerJobs } from './threads';

/** A box to read, and the image that holds it. */
export interface ReadJob {
  readonly folder: string;
  readonly record: ImageRecord;
  readonly box: Box;
}

/** Images kept open. Each takes a file descriptor and about 100 KB for its index. */
const keptOpen = 32;
const open = new Map<string, ImageReader>();
const decoder = new ChunkDecoder();

async function readBox({ folder, record, box }: ReadJob): Promise<Float32Array> {
  const reader = open.get(folder) ?? ImageReader.open(folder, record, decoder);
  // Moved to the end, so that the map's first image is the least recently used.
  open.delete(folder);
  open.set(folder, reader);
  if (open.size > keptOpen) forget([...open.keys()][0]!);
  try {
    return await reader.read(box);
  } catch (error) {
    // If the volume was prepared again, this name now belongs to another file.
    forget(folder);
    throw error;
  }
}

function forget(folder: string): void {
  open.get(folder)?.close();
  open.delete(folder);
}

answerJobs(readBox, (voxels) => [voxels.buffer as ArrayBuffer]);
