import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { replaceFileSlowly, writeTo } from '../atomic-file';
import { makeFolder } from '../make-folder';
import type { LongCall } from '../progress';
import { isOwnFault, reasonOf } from './base/fault';
import { withConverted } from './dicom/convert';
import type { DicomContent, Series } from './dicom/scan';
import { gzip } from './gzip';
import { listSeries, matchingSeries, type SeriesOptions } from './series';

/** One series of a conversion. */
export interface SeriesRow
  extends Pick<Series, 'name' | 'patient' | 'number' | 'description' | 'modality' | 'shape'> {
  /** In mm; absent if the slices have no places. */
  readonly spacing?: readonly [number, number, number];
  /** The NIfTI file; absent if there is none. */
  readonly file?: string;
  /** Why there is none. */
  readonly reason?: string;
  readonly notes: readonly string[];
}

/** What `convertDicom` did. */
export interface Conversion {
  readonly output: string;
  /** Every series that was found, with its file or the reason why it has none. */
  readonly series: readonly SeriesRow[];
  /** Files that are no DICOM images. */
  readonly skipped: DicomContent['skipped'];
}

/**
 * Converts the DICOM series of a folder and its subfolders to NIfTI, one series in memory at a time. Files are
 * named by a patient's pseudonym, the series' number and six digits: `P482913350612_s2_582131.nii.gz`. The same patient
 * has the same pseudonym in every call, as long as the key of the pseudonyms is the same: it lies in
 * `~/.config/patchwise/patient-key`, or where PATCHWISE_PATIENT_KEY says. The files hold no names and dates. A series that
 * is no volume, such as a localiser, gets no file.
 *
 * @param options `series` chooses series; default: every one that is a volume
 * @throws UnreadableFile if there is no DICOM; InvalidArgument if the choice fits no series or nothing can be written
 */
export async function convertDicom(
  input: string,
  output: string,
  options: SeriesOptions = {},
): Promise<Conversion> {
  const { series: choice, signal, onProgress } = options;
  const content = await listSeries(input, { signal, onProgress });
  const usable = content.series.filter(({ unusable }) => unusable === undefined);
  const chosen = new Set(usable.length > 0 ? matchingSeries(usable, choice) : []);
  writeTo('output', output, () => makeFolder(output));
  const rows: SeriesRow[] = [];
  let done = 0;
  for (const series of content.series) {
    if (!chosen.has(series)) {
      rows.push({ ...rowOf(series), reason: series.unusable ?? 'not chosen' });
      continue;
    }
    onProgress?.({ done: done++, total: chosen.size, what: 'series' });
    rows.push(await convertOne(series, output, { signal }));
  }
  onProgress?.({ done, total: chosen.size, what: 'series' });
  return { output, series: rows, skipped: content.skipped };
}

async function convertOne(series: Series, output: string, { signal }: LongCall): Promise<SeriesRow> {
  const file = join(output, `${series.name}.nii.gz`);
  try {
    const notes = await withConverted(series, { signal }, async (made) => {
      await writeGzipped(made.path, file, signal);
      return made.notes;
    });
    return { ...rowOf(series), file, notes: [...series.notes, ...notes] };
  } catch (error) {
    if (isOwnFault(error) && 'path' in error)
      return { ...rowOf(series), reason: reasonOf(series.name, error) };
    throw error;
  }
}

function writeGzipped(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  return replaceFileSlowly(to, async (file) => {
    const content = createReadStream(from, { highWaterMark: 2 ** 20, signal });
    for await (const piece of gzip(content, 1)) await file.writeFile(piece);
  });
}

function rowOf({ name, patient, number, description, modality, shape, geometry, notes }: Series): SeriesRow {
  return { name, patient, number, description, modality, shape, spacing: geometry?.spacing, notes };
}
