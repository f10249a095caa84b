/** What a call of `prepareDataset` tells of the dataset. */
import { readdirSync } from 'node:fs';
import { convertDicom } from '../foreign';
import type { DatasetIndex, IndexEntry, SplitName } from '../store/format';
import type { Prepared, PrepareOptions } from './prepare';

/** Volumes and patients on each side. */
export function splitSummary(volumes: readonly IndexEntry[]): Prepared['split'] {
  const side = (split: SplitName) => {
    const own = volumes.filter((volume) => volume.split === split && volume.added !== 'blended');
    return { volumes: own.length, patients: new Set(own.map(({ patient }) => patient)).size };
  };
  return { train: side('train'), validation: side('validation'), test: side('test') };
}

/** What a person should look at. `before` is the index of the last call. */
export function notesOn(
  volumes: readonly IndexEntry[],
  before: Partial<DatasetIndex> | undefined,
  output: string,
  { patient, csv }: PrepareOptions,
): string[] {
  const notes: string[] = [];
  const moved = movesOf(volumes, before);
  if (moved.length > 0)
    notes.push(
      `on another side than before, by another seed, split, table or patients: ${moved.join(', ')}. ` +
        'Measure no model on what it was trained on before.',
    );
  const prepared = volumes.filter(({ added }) => !added);
  const patients = new Set(prepared.map((volume) => volume.patient));
  if (patients.size === 1 && prepared.length > 1) {
    const [only] = patients;
    const by = csv !== undefined ? 'the table' : patient !== undefined ? 'the pattern' : 'their names';
    notes.push(
      `by ${by} all files are of patient ${only}: nothing is held out. Give another pattern or table.`,
    );
  }
  const listed = new Set(volumes.map(({ name }) => name));
  const others = readdirSync(output, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !listed.has(entry.name))
    .map(({ name }) => name);
  if (others.length > 0)
    notes.push(
      `folders of volumes that are not in the input (any more) stay, unlisted: ${others.join(', ')}`,
    );
  return notes;
}

/** A call that was ended looks the same as a dataset whose index was removed. */
export const lostIndex =
  'the dataset had no index (dataset.json): it was removed, or the call before was ended. The split is drawn anew: ' +
  'measure no model that was trained on an earlier split by this one.';

/** What to do with folders of DICOM files. */
export function dicomNote(folders: readonly string[]): string[] {
  const [first] = folders;
  if (first === undefined) return [];
  const which = folders.length > 1 ? `${folders.length} folders, ${first} first, hold` : `${first} holds`;
  return [`${which} DICOM files, which are not prepared. Convert them: ${convertDicom(first)}`];
}

/** Volumes that changed sides since the last call, with both sides. */
function movesOf(volumes: readonly IndexEntry[], before: Partial<DatasetIndex> | undefined): string[] {
  const old = new Map((before?.volumes ?? []).map(({ name, split }) => [name, split]));
  return volumes
    .filter(({ name, split, added }) => added !== 'blended' && old.has(name) && old.get(name) !== split)
    .map(({ name, split }) => `${name} (${old.get(name)} to ${split})`);
}
