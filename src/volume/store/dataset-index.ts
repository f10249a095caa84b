import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { UnreadableFile } from '../../errors';
import { readJson, same, writeJson } from './files';
import {
  type DatasetIndex,
  formatVersion,
  groupMetadata,
  type IndexEntry,
  indexFile,
  type SplitName,
} from './format';
import { splitPatients } from './patients';
import type { Prepared, PrepareOptions } from './prepare';
import type { Preparation } from './prepare-plan';
import type { Outcome } from './prepare-volumes';

/** Where the index waits while volumes that it lists are written anew: hidden, and the split is kept in it. */
const asideFile = '.dataset.json.before';

/**
 * Takes the index away: from now on until the next `writeIndex` the folder is no dataset, for volumes come that the
 * index does not tell of.
 */
export function setIndexAside(output: string): void {
  if (existsSync(join(output, indexFile))) renameSync(join(output, indexFile), join(output, asideFile));
}

/** The index of a dataset, also of one whose index waits aside; undefined where there is none of this version. */
export function indexBefore(output: string): DatasetIndex | undefined {
  const index = storedIndex(output);
  return index?.version === formatVersion ? (index as DatasetIndex) : undefined;
}

/**
 * The index of any version. Throws UnreadableFile for a damaged index: only the index knows who is held out, and
 * drawing anew could move a patient from test to train.
 */
export function storedIndex(output: string): Partial<DatasetIndex> | undefined {
  const path = [indexFile, asideFile].map((name) => join(output, name)).find((file) => existsSync(file));
  if (path === undefined) return undefined;
  const index = readJson(path) as Partial<DatasetIndex> | undefined;
  if (index?.format === 'patchwise dataset') return index;
  const found = 'something else; put a copy of it there, or remove it to draw the split anew';
  throw new UnreadableFile(path, 'the index of a prepared dataset', found);
}

/** Puts a volume into an index, in the place of one of its name. */
export function writeEntry(output: string, entry: IndexEntry): void {
  const before = indexBefore(output);
  const others = before?.volumes.filter(({ name }) => name !== entry.name) ?? [];
  const index: DatasetIndex = {
    format: 'patchwise dataset',
    version: formatVersion,
    seed: before?.seed ?? 0,
    fractions: before?.fractions ?? [0, 0, 1],
    settings: before?.settings ?? entry.settings,
    volumes: [...others, entry].sort((a, b) => (a.name < b.name ? -1 : 1)),
    leftOut: before?.leftOut ?? [],
  };
  writeFiles(output, index);
}

function writeFiles(output: string, index: DatasetIndex): void {
  writeJson(join(output, 'zarr.json'), groupMetadata({}));
  writeJson(join(output, indexFile), index);
  rmSync(join(output, asideFile), { force: true });
}

/** Splits the patients of all volumes and writes the index. */
export function writeIndex(output: string, plan: Preparation, { records, leftOut }: Outcome): DatasetIndex {
  const { owners, fractions, seed, settings } = plan;
  const before = storedIndex(output);
  const patients = [...records.keys()].map((source) => owners.get(source)!.patient);
  const fixed = fixedSides(plan, before);
  const sides = splitPatients(patients, { fractions, seed, fixed });
  const volumes = [...records].map(([source, record]): IndexEntry => {
    const { patient } = owners.get(source)!;
    return { name: source.name, patient, split: sides.get(patient)!, ...record };
  });
  const index: DatasetIndex = {
    format: 'patchwise dataset',
    version: formatVersion,
    seed,
    fractions,
    settings,
    volumes: [...volumes, ...addedBefore(output, volumes)].sort((a, b) => (a.name < b.name ? -1 : 1)),
    leftOut: [...leftOut].sort((a, b) => (a.file < b.file ? -1 : 1)),
  };
  writeFiles(output, index);
  return index;
}

/** Volumes that were put in by themselves, in the place of none that was prepared. */
function addedBefore(output: string, prepared: readonly IndexEntry[]): IndexEntry[] {
  const names = new Set(prepared.map(({ name }) => name));
  return (indexBefore(output)?.volumes ?? []).filter(
    ({ name, added }) => added && !names.has(name) && existsSync(join(output, name)),
  );
}

/** Sides that are not drawn: those of a table, and those of the last call where it drew by the same rule. */
function fixedSides(
  { owners, fractions, seed }: Preparation,
  before: Partial<DatasetIndex> | undefined,
): Map<string, SplitName> {
  const sides = new Map<string, SplitName>();
  const comparable = before?.seed === seed && same(before.fractions, fractions);
  if (comparable) for (const { patient, split } of before.volumes ?? []) sides.set(patient, split);
  for (const { patient, split } of owners.values()) if (split) sides.set(patient, split);
  return sides;
}

/** Volumes and patients on each side. */
export function splitSummary(volumes: readonly IndexEntry[]): Prepared['split'] {
  const side = (split: SplitName) => {
    const own = volumes.filter((volume) => volume.split === split && volume.added !== 'blended');
    return { volumes: own.length, patients: new Set(own.map(({ patient }) => patient)).size };
  };
  return { train: side('train'), validation: side('validation'), test: side('test') };
}

/** What a person should look at. */
export function notesOn(
  volumes: readonly IndexEntry[],
  output: string,
  { patient, csv }: PrepareOptions,
): string[] {
  const notes: string[] = [];
  const prepared = volumes.filter(({ added }) => !added);
  const patients = new Set(prepared.map((volume) => volume.patient));
  if (patients.size === 1 && prepared.length > 1 && patient === undefined && csv === undefined) {
    const [only] = patients;
    notes.push(
      `by their names all files are of patient ${only}: nothing is held out. Give a pattern or a table.`,
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
