import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { byPatient, knownSides, storeIndex } from '../store/dataset-index';
import { same } from '../store/files';
import {
  type DatasetIndex,
  datasetFormat,
  formatVersion,
  type IndexEntry,
  type SplitName,
} from '../store/format';
import { splitPatients } from './patients';
import type { Preparation } from './plan';
import type { Outcome } from './prepare-volumes';

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
  storeIndex(output, index);
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
