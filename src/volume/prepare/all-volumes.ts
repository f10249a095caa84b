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
import { checksum, machineError, type VolumeJob } from './one-volume';
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
  { signal, onProgress, verify = false, workers = Math.min(4, availableParallelism()) }: PrepareOptions,
) {
  const [records, kept, leftOut] = [new Map<Source, VolumeRecord>(), new Set<string>(), [...notSearched]];
  const notes: string[] = [];
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
      const stored = await unchangedRecord(job).catch((error) => void ownFault(error));
      const damage = stored && (await damageOf(stored, job));
      if (damage) notes.push(`${damage} was damaged; ${source.name} is made again`);
      const unchanged = damage ? undefined : stored;
      if (signal?.aborted) return;
      if (unchanged) kept.add(source.name);
      else if (existsSync(join(output, source.name))) setIndexAside(output);
      const answer = unchanged ? { result: unchanged } : await threads.run(job);
      if (signal?.aborted) return;
      if ('result' in answer) records.set(source, answer.result);
      else
        leftOut.push({
          file: source.file,
          reason: reasonOf(source.file, ownFault(machineError(source, errorOf(answer.failed)))),
        });
      done++;
      report();
    };
    /** The damaged file of a stored volume, by sizes and indexes, with `verify` also by the checksums of all chunks. */
    const damageOf = async (record: VolumeRecord, job: VolumeJob): Promise<string | undefined> => {
      const seen = damageIn(join(output, job.source.name), record);
      if (seen !== undefined || !verify) return seen;
      const answer = await threads.run({ ...job, verify: record });
      return 'failed' in answer && !signal?.aborted ? damagedFile(errorOf(answer.failed)) : undefined;
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
    return { records, kept, leftOut, notes };
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

/** The stored record of a file if preparing it again would write the same. */
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
  // The intensity is an attribute and not in the voxels, so a new one rewrites a small file only.
  const resolved = resolveIntensity(intensity, { data: Float32Array.from(record.range) });
  const current = { ...record, source: { ...record.source, ...state }, intensity: resolved };
  if (!same(current, record)) writeJson(path, groupMetadata(current));
  return current;
}

/** The damaged file of a volume's arrays, as far as sizes and indexes show. */
export function damageIn(folder: string, { image, baseline }: VolumeRecord): string | undefined {
  try {
    for (const [name, record] of Object.entries({ image, baseline }))
      if (record) openShard(join(folder, name), record).close();
    return undefined;
  } catch (error) {
    return damagedFile(error);
  }
}

/** The file that an error is about. Throws an error that is no file's fault. */
function damagedFile(error: unknown): string {
  const own = ownFault(error);
  return 'path' in own ? own.path : own.message;
}
