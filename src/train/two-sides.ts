/** Patients who are on different sides of the datasets of one run. */
import { dirname } from 'node:path';
import { isPseudonym } from '../volume/dicom/pseudonym';
import type { Oddity } from '../volume/prepare/oddities';
import type { Dataset } from '../volume/store/dataset';
import type { StoredVolume } from '../volume/store/stored-image';

interface TwoSides {
  /** Volumes that are surely of one patient: made of the same file, or with the same pseudonym. */
  readonly certain: readonly string[];
  /** Patients of one name, who may be different people. */
  readonly odd: readonly Oddity[];
}

/** Compares the sides that datasets have chosen, each for itself. */
export function onTwoSides(datasets: readonly Dataset[]): TwoSides {
  const volumes = datasets.flatMap((dataset) => dataset.volumes.filter(({ blended }) => !blended));
  const certain = groupsOnTwoSides(volumes, ({ patient, original }) => [
    ...(original.sha256 === '' ? [] : [original.sha256]),
    ...(isPseudonym(patient) ? [patient] : []),
  ]);
  const known = new Set(certain.flat());
  const named = groupsOnTwoSides(volumes, ({ patient }) => [patient]).flat();
  const files = named.filter((volume) => !known.has(volume)).map(told);
  const note =
    'patients of one name are on different sides of the datasets; if they are the same people, prepare them as one dataset';
  return {
    certain: certain.map((own) => own.map(told).join(' and ')),
    odd: files.length > 0 ? [{ note, files: [...new Set(files)] }] : [],
  };
}

/** For each key that volumes on different sides share: one of them on each side. */
function groupsOnTwoSides(
  volumes: readonly StoredVolume[],
  keysOf: (volume: StoredVolume) => readonly string[],
): StoredVolume[][] {
  const groups = new Map<string, Map<string, StoredVolume>>();
  for (const volume of volumes)
    for (const key of keysOf(volume)) {
      const sides = groups.get(key) ?? new Map<string, StoredVolume>();
      if (!sides.has(volume.split)) groups.set(key, sides.set(volume.split, volume));
    }
  return [...groups.values()].filter(({ size }) => size > 1).map((sides) => [...sides.values()]);
}

function told({ folder, split }: StoredVolume): string {
  return `${dirname(folder)} (${split})`;
}
