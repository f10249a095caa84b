import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidArgument } from '../../errors';
import { byPatient, storeIndex } from '../store/dataset-index';
import { type DatasetIndex, formatVersion, type IndexEntry, type SplitName } from '../store/format';
import { damageIn, type Outcome } from './all-volumes';
import { splitPatients } from './patients';
import type { Preparation, Prepared, PrepareOptions } from './prepare';

/** Splits the patients of all volumes and writes the index. `before` is the index of the last call. */
export function writeIndex(
  output: string,
  plan: Preparation,
  { records, leftOut }: Outcome,
  before: Partial<DatasetIndex> | undefined,
): DatasetIndex {
  const { owners, settings, intensity } = plan;
  const { fractions, seed, fixed } = plan.sides;
  const patients = [...records.keys()].map((source) => owners.get(source)!.patient);
  const names = new Set([...records.keys()].map(({ name }) => name));
  const stay = addedBefore(output, before, names);
  const sides = splitPatients(patients, { fractions, seed, fixed: new Map(fixed) });
  const volumes = [...records].map(([source, record]): IndexEntry => {
    const { patient } = owners.get(source)!;
    return { name: source.name, patient, split: sides.get(patient)!, ...record };
  });
  const added = stay.map((entry) => ({ ...entry, split: sides.get(entry.patient) ?? entry.split }));
  const patientKey = plan.dicom?.key ?? before?.patientKey;
  const all = {
    volumes: [...volumes, ...added],
    sides: byPatient([...fixed, ...sides]),
    leftOut,
    patientKey,
  };
  return storeIndex(output, { seed, fractions, settings, intensity, ...all });
}

/** Volumes that were added alone and still exist, without those whose name a prepared volume takes. */
function addedBefore(
  output: string,
  before: Partial<DatasetIndex> | undefined,
  prepared: ReadonlySet<string>,
): IndexEntry[] {
  if (before?.version !== formatVersion) return [];
  return (before.volumes ?? []).filter(
    ({ name, added }) => added && !prepared.has(name) && existsSync(join(output, name)),
  );
}

/** Volumes and patients on each side. */
export function splitSummary(volumes: readonly IndexEntry[]): Prepared['split'] {
  const side = (split: SplitName) => {
    const own = volumes.filter((volume) => volume.split === split && volume.added !== 'blended');
    return { volumes: own.length, patients: new Set(own.map(({ patient }) => patient)).size };
  };
  return { train: side('train'), validation: side('validation'), test: side('test') };
}

/** Notes for the user. `before` is the index of the last call. */
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
      `moved to another side, as resplit asks: ${moved.join(', ')}. ` +
        'Do not measure a model on volumes that it was trained on before.',
    );
  const prepared = volumes.filter(({ added }) => !added);
  const patients = new Set(prepared.map((volume) => volume.patient));
  if (patients.size === 1 && prepared.length > 1) {
    const [only] = patients;
    const by = csv !== undefined ? 'the table' : patient !== undefined ? 'the pattern' : 'their names';
    notes.push(
      `by ${by} all files are of patient ${only}, so nothing is held out. Give another pattern or table.`,
    );
  }
  for (const volume of volumes.filter(({ added }) => added)) {
    const damage = damageIn(join(output, volume.name), volume);
    if (damage)
      notes.push(`${damage} is damaged; ${volume.name} was added alone: add it again, or remove its folder`);
  }
  const listed = new Set(volumes.map(({ name }) => name));
  const others = readdirSync(output, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !listed.has(entry.name))
    .map(({ name }) => name);
  if (others.length > 0)
    notes.push(
      `these folders are not in the input any more; they stay, but the index does not list them: ${others.join(', ')}`,
    );
  return notes;
}

/** An unfinished call looks like a dataset whose index was removed. */
export const lostIndex =
  'the dataset had no index (dataset.json): it was removed, or the last call did not end. This is a new split. ' +
  'Do not measure models on it that were trained on an earlier split.';

/** Notes on the input: what is odd about DICOM series, and files among them that are not used. */
export function sourceNotes({ dicom }: Preparation, volumes: readonly IndexEntry[]): string[] {
  const odd = volumes.filter(({ notes = [] }) => notes.length > 0);
  const skipped = (dicom?.skipped ?? []).map(
    ({ reason, files, example }) =>
      `not used among the DICOM files: ${files === 1 ? example : `${files} files, ${example} first`}: ${reason}`,
  );
  return [...odd.map(({ name, notes = [] }) => `${name}: ${notes.join('; ')}`), ...skipped];
}

/**
 * Checks that the pseudonyms of DICOM patients are those of the dataset. Otherwise each patient would become another one,
 * perhaps on another side. Throws InvalidArgument.
 */
export function checkKey(
  { dicom }: Preparation,
  before: Partial<DatasetIndex> | undefined,
  output: string,
): void {
  if (!dicom || !before?.patientKey || before.patientKey === dicom.key) return;
  const expected =
    `the file of the key that made the pseudonyms of ${output} (PATCHWISE_PATIENT_KEY; its fingerprint is ` +
    `${before.patientKey}), or a new folder for the dataset`;
  throw new InvalidArgument('patient key', expected, dicom.key);
}

/** Volumes that changed sides since the last call, with both sides. */
function movesOf(volumes: readonly IndexEntry[], before: Partial<DatasetIndex> | undefined): string[] {
  const old = new Map((before?.volumes ?? []).map(({ name, split }) => [name, split]));
  return volumes
    .filter(({ name, split, added }) => added !== 'blended' && old.has(name) && old.get(name) !== split)
    .map(({ name, split }) => `${name} (${old.get(name)} to ${split})`);
}
