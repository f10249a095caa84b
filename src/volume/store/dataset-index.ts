import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { UnreadableFile } from '../../errors';
import { readJson, writeJson } from './files';
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

/** Holds the index, and so the split, while volumes that it lists are rewritten. */
const asideFile = '.dataset.json.before';

/** Hides the index until `storeIndex`: its volumes are about to change, so the folder must not open as a dataset. */
export function setIndexAside(output: string): void {
  if (existsSync(join(output, indexFile))) renameSync(join(output, indexFile), join(output, asideFile));
}

/** The index of a dataset, even if it is set aside. Undefined if there is no index of this version. */
export function indexBefore(output: string): DatasetIndex | undefined {
  const index = storedIndex(output);
  return index?.version === formatVersion ? (index as DatasetIndex) : undefined;
}

/**
 * The index of any version. Throws UnreadableFile if it is damaged: only the index knows which patients are held out,
 * and a new draw could move a patient from test to train.
 */
export function storedIndex(output: string): Partial<DatasetIndex> | undefined {
  const path = [indexFile, asideFile].map((name) => join(output, name)).find((file) => existsSync(file));
  if (path === undefined) return undefined;
  const index = readJson(path) as Partial<DatasetIndex> | undefined;
  if (index?.format === datasetFormat && (index.version !== formatVersion || listsVolumes(index)))
    return index;
  throw new UnreadableFile(path, 'the index of a prepared dataset', `something else; ${lostSides}`);
}

/** The cure for an index that nobody can read. It alone knows the sides. */
export const lostSides = 'put a copy of it there, or remove it and prepare again, to draw a new split';

/** Whether the index gives each patient's side. The volumes themselves hold everything else. */
function listsVolumes(index: Partial<DatasetIndex>): boolean {
  const { volumes } = index;
  if (!Array.isArray(volumes) || !volumes.every((entry) => typeof entry?.patient === 'string')) return false;
  const sides = new Map(knownSides(index));
  return volumes.every(({ patient, added }) => added === 'blended' || sides.has(patient));
}

/** Adds a volume to the index, or replaces the one of the same name. */
export function writeEntry(output: string, entry: IndexEntry): void {
  const before = indexBefore(output);
  const others = before?.volumes.filter(({ name }) => name !== entry.name) ?? [];
  storeIndex(output, {
    seed: before?.seed ?? 0,
    fractions: before?.fractions ?? [0, 0, 1],
    settings: before?.settings ?? entry.settings,
    intensity: before?.intensity,
    volumes: [...others, entry],
    // A blended volume gives its patient no side.
    sides: byPatient([...knownSides(before), ...knownSides({ volumes: [entry] })]),
    leftOut: before?.leftOut ?? [],
    patientKey: before?.patientKey,
  });
}

/** Makes the folder a Zarr group marked as a dataset. */
export function writeRoot(output: string): void {
  writeJson(join(output, 'zarr.json'), groupMetadata({ format: datasetFormat }));
}

/** Whether the folder is a dataset without an index: its call did not end, or the index is lost. */
export function isUnfinished(output: string): boolean {
  const root = readJson(join(output, 'zarr.json')) as
    | { attributes?: { format?: unknown } }
    | null
    | undefined;
  return existsSync(join(output, asideFile)) || root?.attributes?.format === datasetFormat;
}

/** Writes the index, sorted, and removes the one set aside. */
export function storeIndex(output: string, entries: Omit<DatasetIndex, 'format' | 'version'>): DatasetIndex {
  const { seed, fractions, settings, intensity, sides, patientKey } = entries;
  const volumes = [...entries.volumes].sort((a, b) => (a.name < b.name ? -1 : 1));
  const leftOut = [...entries.leftOut].sort((a, b) => (a.file < b.file ? -1 : 1));
  const head = { format: datasetFormat, version: formatVersion, seed, fractions, settings } as const;
  const index: DatasetIndex = {
    ...head,
    ...(intensity && { intensity }),
    volumes,
    sides,
    leftOut,
    ...(patientKey && { patientKey }),
  };
  // The index first: a folder with a root alone counts as a dataset that has lost its index.
  writeJson(join(output, indexFile), index);
  writeRoot(output);
  rmSync(join(output, asideFile), { force: true });
  return index;
}

/** The side of each patient in an index. An older index without `sides` has the sides of its volumes. */
export function knownSides(index: Partial<DatasetIndex> | undefined): [string, SplitName][] {
  const drawn = (index?.volumes ?? []).filter(({ added }) => added !== 'blended');
  const ofVolumes = drawn.map(({ patient, split }): [string, SplitName] => [patient, split]);
  return [...Object.entries(index?.sides ?? {}), ...ofVolumes].filter(([, side]) =>
    splitNames.includes(side),
  );
}

/** Sides sorted by patient. The last side of a patient wins. */
export function byPatient(sides: readonly (readonly [string, SplitName])[]): Record<string, SplitName> {
  return Object.fromEntries([...new Map(sides)].sort(([a], [b]) => (a < b ? -1 : 1)));
}
