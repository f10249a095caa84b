import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { UnreadableFile } from '../../errors';
import { compiledFile } from '../../package';
import type { BaselineView } from '../view';
import { isUnfinished, lostSides } from './dataset-index';
import { finish, readJson, repair } from './files';
import {
  type DatasetIndex,
  datasetFormat,
  formatVersion,
  indexFile,
  isSoundEntry,
  type LeftOut,
  type SplitName,
} from './format';
import { type ReadThreads, StoredVolume } from './stored-image';
import { Threads } from './threads';

export interface OpenDatasetOptions {
  /** Threads that read and decode; default one per core, at most 4. They start with the first patch. */
  readonly threads?: number;
}

/** A prepared dataset, open for reading. Any number of processes and threads may open it at once. */
export class Dataset {
  readonly volumes: readonly StoredVolume[];
  /** Files that could not be prepared. */
  readonly leftOut: readonly LeftOut[];
  /** The smaller view stored beside each volume, if the dataset has one. */
  readonly baseline?: BaselineView;

  constructor(
    readonly dir: string,
    index: DatasetIndex,
    private readonly threads: ReadThreads,
  ) {
    this.volumes = index.volumes.map((entry) => new StoredVolume(join(dir, entry.name), entry, threads));
    this.leftOut = index.leftOut;
    if (index.settings.baseline) this.baseline = index.settings.baseline;
  }

  /** The volumes of one side of the split, without volumes that a model made. */
  side(split: SplitName): readonly StoredVolume[] {
    return this.volumes.filter((volume) => volume.split === split && !volume.blended);
  }

  /** Ends the threads. This is optional: they do not keep the process alive. */
  async close(): Promise<void> {
    await this.threads.close();
  }
}

/** The volumes of a dataset that were prepared, and not made by a model. Errors are those of `openDataset`. */
export function storedVolumes(dir: string): StoredVolume[] {
  return openDataset(dir).volumes.filter(({ blended }) => !blended);
}

/** Whether a folder is a prepared dataset, or an unfinished one. */
export function isDataset(dir: string): boolean {
  return existsSync(join(dir, indexFile)) || isUnfinished(dir);
}

/**
 * Opens a dataset that `prepareDataset` made.
 *
 * ```ts
 * const dataset = pw.openDataset('prepared');
 * const [volume] = dataset.volumes;
 * const patch = await volume!.readPatch([0, 0, 0], [32, 32, 16]); // x runs fastest
 * ```
 * @throws UnreadableFile if the folder is not a dataset, or a dataset of another version
 */
export function openDataset(dir: string, options: OpenDatasetOptions = {}): Dataset {
  const path = join(dir, indexFile);
  const index = readJson(path) as Partial<DatasetIndex> | undefined;
  if (index?.format !== datasetFormat || !Array.isArray(index.volumes)) {
    const unfinished = isUnfinished(dir) ? `none; ${finish(dir)}` : 'none';
    const found = existsSync(path) ? `something else; ${lostSides}` : unfinished;
    throw new UnreadableFile(path, 'the index of a prepared dataset (see `npx patchwise prepare`)', found);
  }
  if (index.version !== formatVersion)
    throw new UnreadableFile(path, `format version ${formatVersion}`, `version ${index.version}`);
  if (!index.volumes.every(isSoundEntry) || typeof index.settings !== 'object')
    throw new UnreadableFile(path, 'an index with all its parts', `a damaged one; ${repair(dir)}`);
  const most = options.threads ?? Math.min(4, availableParallelism());
  const worker = compiledFile('src', 'volume', 'store', 'read-worker.js');
  return new Dataset(dir, index as DatasetIndex, new Threads(worker, Math.max(1, most)));
}
