import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { UnreadableFile } from '../../errors';
import { readJson, same, writeJson } from './files';
import {
  type DatasetIndex,
  datasetFormat,
  formatVersion,
  groupMetadata,
  type IndexEntry,
  indexFile,
  type SplitName,
  splitNames,
} from './format';
import { splitPatients } from './patients';
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
 * a new draw could move a patient from test to train.
 */
export function storedIndex(output: string): Partial<DatasetIndex> | undefined {
  const path = [indexFile, asideFile].map((name) => join(output, name)).find((file) => existsSync(file));
  if (path === undefined) return undefined;
  const index = readJson(path) as Partial<DatasetIndex> | undefined;
  if (index?.format === datasetFormat && (index.version !== formatVersion || listsVolumes(index)))
    return index;
  const found = 'something else; put a copy of it there, or remove it for a new split';
  throw new UnreadableFile(path, 'the index of a prepared dataset', found);
}

/** Whether it can be told who is on which side. The rest of a damaged index comes from the volumes themselves. */
function listsVolumes(index: Partial<DatasetIndex>): boolean {
  const { volumes } = index;
  if (!Array.isArray(volumes) || !volumes.every((entry) => typeof entry?.patient === 'string')) return false;
  const sides = new Map(knownSides(index));
  return volumes.every(({ patient, added }) => added === 'blended' || sides.has(patient));
}

/** Puts a volume into an index, in the place of one of its name. */
export function writeEntry(output: string, entry: IndexEntry): void {
  const before = indexBefore(output);
  const others = before?.volumes.filter(({ name }) => name !== entry.name) ?? [];
  const index: DatasetIndex = {
    format: datasetFormat,
    version: formatVersion,
    seed: before?.seed ?? 0,
    fractions: before?.fractions ?? [0, 0, 1],
    settings: before?.settings ?? entry.settings,
    volumes: [...others, entry].sort((a, b) => (a.name < b.name ? -1 : 1)),
    sides: byPatient([
      ...knownSides(before),
      ...(entry.added === 'blended' ? [] : ([[entry.patient, entry.split]] as const)),
    ]),
    leftOut: before?.leftOut ?? [],
  };
  writeFiles(output, index);
}

/** Makes the folder a Zarr group, and says of what kind. */
export function writeRoot(output: string): void {
  writeJson(join(output, 'zarr.json'), groupMetadata({ format: datasetFormat }));
}

/** Whether a dataset without an index is here: of a call that was ended, or whose index is lost. */
export function isUnfinished(output: string): boolean {
  const root = readJson(join(output, 'zarr.json')) as
    | { attributes?: { format?: unknown } }
    | null
    | undefined;
  return existsSync(join(output, asideFile)) || root?.attributes?.format === datasetFormat;
}

function writeFiles(output: string, index: DatasetIndex): void {
  writeRoot(output);
  writeJson(join(output, indexFile), index);
  rmSync(join(output, asideFile), { force: true });
}

/** Splits the patients of all volumes and writes the index. `before` is the index of the last call. */
export function writeIndex(
  output: string,
  plan: Preparation,
  { records, leftOut }: Outcome,
  before: Partial<DatasetIndex> | undefined,
): DatasetIndex {
  const { owners, fractions, seed, settings } = plan;
  const patients = [...records.keys()].map((source) => owners.get(source)!.patient);
  const names = new Set([...records.keys()].map(({ name }) => name));
  const stay = addedBefore(output, before, names);
  const fixed = fixedSides(plan, before, stay);
  const sides = splitPatients(patients, { fractions, seed, fixed });
  const volumes = [...records].map(([source, record]): IndexEntry => {
    const { patient } = owners.get(source)!;
    return { name: source.name, patient, split: sides.get(patient)!, ...record };
  });
  const added = stay.map((entry) => ({
    ...entry,
    split: sides.get(entry.patient) ?? entry.split,
  }));
  const index: DatasetIndex = {
    format: datasetFormat,
    version: formatVersion,
    seed,
    fractions,
    settings,
    volumes: [...volumes, ...added].sort((a, b) => (a.name < b.name ? -1 : 1)),
    sides: byPatient([...fixed, ...sides]),
    leftOut: [...leftOut].sort((a, b) => (a.file < b.file ? -1 : 1)),
  };
  writeFiles(output, index);
  return index;
}

/** Volumes that were put in by themselves and are still there, but for those whose name a prepared one takes. */
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

/**
 * Sides that are not drawn. Later ones win: those of the last call if it drew by the same rule, those of volumes that
 * were put in by themselves and stay, those of a table.
 */
function fixedSides(
  { owners, fractions, seed }: Preparation,
  before: Partial<DatasetIndex> | undefined,
  added: readonly IndexEntry[],
): Map<string, SplitName> {
  const comparable = before?.seed === seed && same(before.fractions, fractions);
  const sides = new Map(comparable ? knownSides(before) : []);
  for (const entry of added) if (entry.added === 'given') sides.set(entry.patient, entry.split);
  for (const { patient, split } of owners.values()) if (split) sides.set(patient, split);
  return sides;
}

/** The sides that an index knows; one without `sides` knows those of its volumes. */
function knownSides(index: Partial<DatasetIndex> | undefined): [string, SplitName][] {
  const drawn = (index?.volumes ?? []).filter(({ added }) => added !== 'blended');
  const ofVolumes = drawn.map(({ patient, split }): [string, SplitName] => [patient, split]);
  return [...Object.entries(index?.sides ?? {}), ...ofVolumes].filter(([, side]) => isSide(side));
}

function isSide(side: unknown): side is SplitName {
  return splitNames.some((name) => name === side);
}

/** The side on which an index has a patient, or had before the patient's files were gone. */
export function knownSide(index: DatasetIndex | undefined, patient: string): SplitName | undefined {
  return new Map(knownSides(index)).get(patient);
}

function byPatient(sides: readonly (readonly [string, SplitName])[]): Record<string, SplitName> {
  return Object.fromEntries([...new Map(sides)].sort(([a], [b]) => (a < b ? -1 : 1)));
}
