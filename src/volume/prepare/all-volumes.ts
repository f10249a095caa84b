import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { InvalidArgument, UnreadableFile } from '../../errors';
import { compiledFile } from '../../package';
import { errorOf } from '../base/failure';
import { isOwnFault, reasonOf } from '../base/fault';
import { resolveIntensity } from '../intensity';
import { setIndexAside } from '../store/dataset-index';
import { readJson, same, writeJson } from '../store/files';
import { groupMetadata, isSoundRecord, type VolumeRecord } from '../store/format';
import { openShard } from '../store/shard';
import { Threads } from '../store/threads';
import { checksum, type VolumeJob } from './one-volume';
import type { Preparation, PrepareOptions } from './prepare';
import { type Source, stateOf } from './sources';

/** The result for each file, and the names of the volumes that existed and are unchanged (`kept`). */
export type Outcome = Awaited<ReturnType<typeof prepareVolumes>>;

/**
 * Prepares new and changed volumes in threads. Throws the signal's reason on abort. It also throws the first error that is
 * not the fault of one file, after the volumes in progress are done.
 */
export async function prepareVolumes(
  { sources, settings, intensity, leftOut: notSearched }: Preparation,
  output: string,
  { signal, onProgress, workers = Math.min(4, availableParallelism()) }: PrepareOptions,
) {
  const [records, kept, leftOut] = [new Map<Source, VolumeRecord>(), new Set<string>(), [...notSearched]];
  const threads = new Threads<VolumeJob, VolumeRecord>(
    compiledFile('src', 'volume', 'prepare', 'worker.js'),
    Math.min(workers, sources.length),
  );
  const stop = () => void threads.close();
  signal?.addEventListener('abort', stop);
  try {
    let done = 0;
    const report = () => onProgress?.({ done, total: sources.length, what: 'volumes' });
    report();
    const each = async (source: Source) => {
      const job = { source, output, settings, intensity };
      const unchanged = await unchangedRecord(job).catch((error) => void ownFault(error));
      if (unchanged) kept.add(source.name);
      else if (existsSync(join(output, source.name))) setIndexAside(output);
      const answer = unchanged ? { result: unchanged } : await threads.run(job);
      if (signal?.aborted) return;
      if ('result' in answer) records.set(source, answer.result);
      else
        leftOut.push({ file: source.file, reason: reasonOf(source.file, ownFault(errorOf(answer.failed))) });
      done++;
      report();
    };
    // One lane per thread, so that the checksums of unchanged files do not all run at once.
    const waiting = [...sources];
    const lane = async () => {
      for (let source = waiting.shift(); source && !signal?.aborted; source = waiting.shift())
        await each(source).catch((error) => {
          waiting.length = 0;
          throw error;
        });
    };
    // Waits for all lanes: if one fails, the others still finish their volumes.
    const lanes = await Promise.allSettled(Array.from({ length: threads.most }, lane));
    signal?.throwIfAborted();
    const ended = lanes.find((lane) => lane.status === 'rejected');
    if (ended) throw ended.reason;
    return { records, kept, leftOut };
  } finally {
    signal?.removeEventListener('abort', stop);
    await threads.close();
  }
}

/** Returns the error if one file is at fault. Throws any other error. */
function ownFault(error: unknown): UnreadableFile | InvalidArgument {
  if (isOwnFault(error)) return error;
  throw error;
}

/** The stored record of a file if preparing it again would write the same and the volume looks intact. */
async function unchangedRecord(job: VolumeJob): Promise<VolumeRecord | undefined> {
  const { source, output, settings, intensity } = job;
  const folder = join(output, source.name);
  const path = join(folder, 'zarr.json');
  if (!existsSync(path)) return undefined;
  const record = (readJson(path) as { attributes?: unknown } | null | undefined)?.attributes;
  if (!isSoundRecord(record) || record.source.file !== source.file || !same(record.settings, settings))
    return undefined;
  const state = stateOf(source);
  const touched = record.source.modified !== state.modified;
  if (record.source.bytes !== state.bytes) return undefined;
  if (touched && record.source.sha256 !== (await checksum(source))) return undefined;
  if (!isSound(folder, record)) return undefined;
  // The intensity is an attribute and not in the voxels, so a new one rewrites a small file only.
  const resolved = resolveIntensity(intensity, { data: Float32Array.from(record.range) });
  const current = { ...record, source: { ...record.source, ...state }, intensity: resolved };
  if (!same(current, record)) writeJson(path, groupMetadata(current));
  return current;
}

/** Whether a volume's arrays exist with sound indexes. Reading checks each chunk by its checksum. */
function isSound(folder: string, { image, baseline }: VolumeRecord): boolean {
  try {
    for (const [name, record] of Object.entries({ image, baseline }))
      if (record) openShard(join(folder, name), record).close();
    return true;
  } catch (error) {
    ownFault(error);
    return false;
  }
}
