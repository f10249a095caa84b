/** Converts a series in a thread of its own, into a temporary folder. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { withPath } from '../../atomic-file';
import { attempt, NoMemory } from '../../errors';
import { compiledFile } from '../../package';
import { identify } from '../../process-identity';
import { errorOf, errorOfThread, type Failure } from '../base/failure';
import { isOutOfMemory } from '../base/fault';
import type { ConvertedSeries } from './dcm2niix';
import type { Series } from './scan';

export interface ConversionJob {
  readonly series: Series;
  readonly folder: string;
}

export type ConversionReply = { readonly made: ConvertedSeries } | { readonly failed: Failure };

/**
 * Converts a series to a temporary NIfTI file, passes it to `use`, and removes it. If this process is killed, the next
 * conversion removes it, unless it lies `within` a folder that the caller gives and cleans. Errors are those of
 * `convertSeries`; the signal's reason on abort.
 */
export async function withConverted<T>(
  series: Series,
  { signal, within = tmpdir() }: { readonly signal?: AbortSignal; readonly within?: string },
  use: (made: ConvertedSeries) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  removeStale();
  const folder = temporaryFolder(within);
  try {
    return await use(await inThread({ series, folder }, signal));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function inThread(job: ConversionJob, signal: AbortSignal | undefined): Promise<ConvertedSeries> {
  const worker = new Worker(compiledFile('src', 'volume', 'dicom', 'worker.js'), {
    workerData: job,
    stdout: true,
    stderr: true,
  });
  const stop = () => void worker.terminate();
  signal?.addEventListener('abort', stop);
  return new Promise<ConvertedSeries>((resolve, reject) => {
    worker.on('message', (reply: ConversionReply) =>
      'made' in reply ? resolve(reply.made) : reject(errorOf(reply.failed)),
    );
    // A thread whose heap finds no memory dies.
    worker.on('error', (error) => {
      const cause = errorOfThread(error);
      reject(isOutOfMemory(cause) ? new NoMemory(job.series.name, 0, { cause }) : cause);
    });
    worker.on('exit', () => reject(signal?.aborted ? signal.reason : new NoMemory(job.series.name, 0)));
  }).finally(() => {
    signal?.removeEventListener('abort', stop);
    void worker.terminate();
  });
}

const prefix = 'patchwise-dicom-';

/** A folder that only this user can read, with the process in its name. TMPDIR chooses its place. */
function temporaryFolder(within: string): string {
  const { pid } = process;
  const place = join(within, `${prefix}${pid}-${identify(pid)?.started.replace(/\W/g, '_') ?? ''}-`);
  try {
    return mkdtempSync(place);
  } catch (error) {
    throw withPath(error, place);
  }
}

/** Removes the folders of processes that were killed. */
function removeStale(): void {
  for (const name of attempt(() => readdirSync(tmpdir())) ?? []) {
    const [, pid, started] = /^patchwise-dicom-(\d+)-(\w*)-/.exec(name) ?? [];
    if (pid === undefined || started === undefined) continue;
    const now = identify(Number(pid))?.started.replace(/\W/g, '_');
    // Another user's folder cannot be removed; that user's next conversion does.
    if (now !== started) attempt(() => rmSync(join(tmpdir(), name), { recursive: true, force: true }));
  }
}
