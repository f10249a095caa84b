/** What a reading thread runs: boxes of any images, the last images used kept open. */
import type { ImageRecord } from './format';
import { type Box, ImageReader } from './image-reader';
import { answerJobs } from './thread-loop';

/** A box to read, with all that is needed to find it. */
export interface ReadJob {
  readonly folder: string;
  readonly record: ImageRecord;
  readonly box: Box;
}

/** An open image is a file descriptor and its index, some 100 KB. */
const keptOpen = 32;
const open = new Map<string, Promise<ImageReader>>();

async function readBox({ folder, record, box }: ReadJob): Promise<Float32Array> {
  const reader = open.get(folder) ?? ImageReader.open(folder, record);
  // Put last again: the map's first is the one that was not used for longest.
  open.delete(folder);
  open.set(folder, reader);
  try {
    return await (await reader).read(box);
  } catch (error) {
    // A volume that was prepared again is another file under the same name.
    open.delete(folder);
    await reader.then(
      (opened) => opened.close(),
      () => {},
    );
    throw error;
  } finally {
    if (open.size > keptOpen) {
      const [oldest, other] = [...open][0]!;
      open.delete(oldest);
      (await other).close();
    }
  }
}

answerJobs(readBox, (voxels) => [voxels.buffer as ArrayBuffer]);
