import { UnreadableFile } from '../errors';
import type { LongCall } from '../progress';
import { placeOf } from '../train/data/sides';
import { isOwnFault, reasonOf } from '../volume/fault';
import type { LeftOut } from '../volume/store/format';
import type { Volume } from '../volume/volume';

/** A volume of a cohort before it is read. */
export interface CohortFile {
  readonly file: string;
  read(): Promise<Volume>;
}

/** A volume of a cohort, with a callback that turns its progress into the cohort's. */
export interface CohortVolume<T extends CohortFile> {
  readonly source: T;
  readonly volume: Volume;
  readonly onProgress: LongCall['onProgress'];
}

/**
 * Each file once, whatever names it is given by, so that no patient counts twice. Volumes in memory are each their own.
 * `notes` says how many names were of a file named before.
 */
export function namedOnce<T>(volumes: readonly T[]): { once: readonly T[]; notes: string[] } {
  const keyOf = (volume: T) => (typeof volume === 'string' ? placeOf(volume) : volume);
  const keys = volumes.map(keyOf);
  const once = volumes.filter((_, i) => keys.indexOf(keys[i]!) === i);
  const repeats = volumes.length - once.length;
  const note = `${repeats} of ${volumes.length} names are of a file named before: it counts once`;
  return { once, notes: repeats > 0 ? [note] : [] };
}

/** The error of a cohort of which no volume could be read. */
export function noneReadable(leftOut: readonly LeftOut[]): UnreadableFile {
  const [first, ...others] = leftOut as [LeftOut, ...LeftOut[]];
  const too = others.length > 0 ? `, and ${others.length} others neither` : '';
  return new UnreadableFile(first.file, 'a volume', `none that can be read${too} (${first.reason})`);
}

/** Reads the volumes of a cohort one at a time. Those that cannot be read are added to `leftOut` instead. */
export async function* readCohort<T extends CohortFile>(
  files: readonly T[],
  leftOut: LeftOut[],
  onProgress: LongCall['onProgress'],
): AsyncGenerator<CohortVolume<T>> {
  for (const [i, source] of files.entries()) {
    const { file } = source;
    let volume: Volume;
    try {
      volume = await source.read();
    } catch (error) {
      if (!isOwnFault(error)) throw error;
      leftOut.push({ file, reason: reasonOf(file, error) });
      continue;
    }
    yield {
      source,
      volume,
      onProgress:
        onProgress &&
        (({ done, total, what }) =>
          onProgress({ done: i * total + done, total: files.length * total, what: `${what} (${file})` })),
    };
  }
}
