/** DICOM wherever a volume is read: finds the series of a folder, chooses one, and converts it to NIfTI. */
import { readSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { withFile } from '../atomic-file';
import { attempt, InvalidArgument, UnreadableFile } from '../errors';
import type { LongCall } from '../progress';
import { withConverted } from './dicom/convert';
import { looksLikeDicom } from './dicom/elements';
import { safePath } from './dicom/pseudonym';
import { type DicomContent, type Series, scanDicom } from './dicom/scan';
import { type FolderContent, searchFolder } from './folder';
import { isVolumeName } from './formats/names';

/** Chooses DICOM series: by number, or by a text or pattern within the name or description. Case does not count in a text. */
export type SeriesChoice = number | string | RegExp;

export interface SeriesOptions extends LongCall {
  /** Which series of a DICOM folder; default: the one with the most slices. */
  readonly series?: SeriesChoice;
}

/** A series as a file, while `withSeries` runs. */
export interface SeriesFile {
  readonly path: string;
  /** The name of the series, which has a pseudonym in place of the patient. */
  readonly source: string;
  readonly notes: readonly string[];
}

/**
 * Lists the DICOM series of a folder and its subfolders, or of one file: name, patient, slices, and why a series is no
 * volume. Patients have pseudonyms. Reads headers only. Throws UnreadableFile if there is no DICOM.
 *
 * ```ts
 * const { series } = await pw.listSeries('dicom');
 * console.table(series.map(({ name, description, shape, unusable }) => ({ name, description, shape, unusable })));
 * ```
 */
export async function listSeries(path: string, call: LongCall = {}): Promise<DicomContent> {
  const { files, leftOut } = dicomFiles(path);
  const content = await scanDicom(resolve(path), files, call);
  const lost = leftOut.map(unnamed).map(({ file, reason }) => ({ reason, files: 1, example: file }));
  const skipped = [...content.skipped, ...lost];
  if (content.series.length > 0) return { ...content, skipped };
  const [most] = skipped.sort((a, b) => b.files - a.files);
  const found = most
    ? `${most.files === 1 ? most.example : `${most.files} files, ${most.example} first`}: ${most.reason}`
    : 'none';
  throw new UnreadableFile(path, 'DICOM images', found);
}

/**
 * Converts a series, or the chosen one of a DICOM folder or file, to a temporary NIfTI file and passes it to `use`.
 * @throws UnreadableFile if no series is a volume, InvalidArgument if the choice fits none or several patients
 */
export async function withSeries<T>(
  from: string | Series,
  { series: choice, signal, onProgress }: SeriesOptions,
  use: (file: SeriesFile) => Promise<T>,
): Promise<T> {
  const { chosen, note } =
    typeof from === 'string'
      ? chooseSeries(from, await listSeries(from, { signal, onProgress }), choice)
      : { chosen: from, note: [] };
  if (chosen.unusable)
    throw new UnreadableFile(chosen.name, 'a DICOM series that is a volume', chosen.unusable);
  return withConverted(chosen, { signal }, (made) =>
    use({ path: made.path, source: chosen.name, notes: [...note, ...chosen.notes, ...made.notes] }),
  );
}

/** The files at a path that may be DICOM: those of a folder, or the file itself. And what of a folder cannot be searched. */
function dicomFiles(path: string): { files: string[]; leftOut: FolderContent['leftOut'] } {
  if (!attempt(() => statSync(path))?.isDirectory())
    return { files: isDicomFile(path) ? [resolve(path)] : [], leftOut: [] };
  const { mayBeDicom, leftOut } = searchFolder(path);
  return { files: mayBeDicom.map((file) => join(resolve(path), file)), leftOut };
}

/** A link or folder among DICOM files that cannot be searched, without what may name a patient. */
export function unnamed(own: FolderContent['leftOut'][number]): FolderContent['leftOut'][number] {
  if (own.reason.startsWith('a link')) return { file: safePath(own.file), reason: 'a link to nothing' };
  return own.reason.startsWith('a folder') ? { ...own, file: safePath(own.file) } : own;
}

/** Whether a file's content is DICOM. The first bytes of a NIfTI file may be anything, so a volume's name counts more. */
export function isDicomFile(path: string): boolean {
  const isFile = attempt(() => statSync(path))?.isFile() ?? false;
  return isFile && !isVolumeName(path) && looksLikeDicom(firstBytes(path));
}

function firstBytes(path: string): Uint8Array {
  const bytes = new Uint8Array(132);
  const length = attempt(() => withFile(path, 'r', (file) => readSync(file, bytes, 0, bytes.length, 0)));
  return bytes.subarray(0, length ?? 0);
}

/** The usable series that fit a choice, the one with the most slices first. Throws InvalidArgument if none fits. */
export function matchingSeries(usable: readonly Series[], choice: SeriesChoice | undefined): Series[] {
  const matching = usable.filter((series) => choice === undefined || matches(series, choice));
  if (matching.length === 0) {
    const expected = `a series' number, or a part of its name or description: ${usable.map(describe).join('; ')}`;
    throw new InvalidArgument('series', expected, choice);
  }
  return matching.sort((a, b) => b.shape[2] - a.shape[2] || (a.number ?? 0) - (b.number ?? 0));
}

function matches({ name, number, description }: Series, choice: SeriesChoice): boolean {
  if (typeof choice === 'number') return number === choice;
  const names = [name, description];
  if (typeof choice === 'string')
    return names.some((own) => own.toLowerCase().includes(choice.toLowerCase()));
  // Without g and y, because these continue after the last match.
  return names.some((own) => new RegExp(choice.source, choice.flags.replace(/[gy]/g, '')).test(own));
}

function chooseSeries(path: string, { series }: DicomContent, choice: SeriesChoice | undefined) {
  const usable = series.filter(({ unusable }) => unusable === undefined);
  if (usable.length === 0) {
    const reasons = series.slice(0, 4).map(({ name, unusable }) => `${name}: ${unusable}`);
    const onlyFile = series.length === 1 && series[0]!.unusable === 'one slice' ? '; give its folder' : '';
    throw new UnreadableFile(path, 'a DICOM series that is a volume', `${reasons.join('; ')}${onlyFile}`);
  }
  const [chosen, ...others] = matchingSeries(usable, choice) as [Series, ...Series[]];
  const patients = new Set([chosen, ...others].map(({ patient }) => patient));
  if (patients.size > 1) {
    const expected = `one patient's series, by number, name or description, or the folder of one patient; there are ${usable.map(describe).join('; ')}`;
    throw new InvalidArgument('series', expected, choice);
  }
  const note =
    others.length === 0
      ? []
      : [`read ${describe(chosen)}, which has the most slices; others: ${others.map(describe).join('; ')}`];
  return { chosen, note };
}

/** A series in a list: `P482913350612_s2_582131 "Thorax 2.0" (60 slices)`. */
export function describe({ name, description, shape }: Series): string {
  return `${name}${description === '' ? '' : ` "${description}"`} (${shape[2]} slices)`;
}
