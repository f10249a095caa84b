import { type HeldOut, type RunSide, sidesOf } from '../train/data/sides';
import type { RunConfig } from '../train/settings/config';

/** A volume to measure on; it has a `side` if the first run holds it out. */
export type Measured = Omit<HeldOut, 'side'> & { readonly side?: RunSide };

/** How many of the volumes a run was trained on, and by how many its best checkpoint was chosen. */
interface Seen {
  readonly trainedOn: number;
  readonly chosenBy: number;
  /** Slabs that the first run held out, if this one split its data differently. */
  readonly unknown: number;
}

export async function seenBy(
  config: RunConfig,
  volumes: readonly Measured[],
  first: RunConfig,
): Promise<Seen> {
  const sideOf = await sidesOf(config);
  const splitOf = ({ data, patients, validation, seed }: RunConfig) =>
    JSON.stringify([data, patients, validation, seed]);
  const asFirst = splitOf(config) === splitOf(first);
  const sides = await Promise.all(
    volumes.map(async ({ source, side }) => {
      if (source !== undefined) return sideOf(source);
      return side && !asFirst ? 'unknown' : side;
    }),
  );
  const count = (...of: (typeof sides)[number][]) => sides.filter((side) => of.includes(side)).length;
  return { trainedOn: count('train', 'part'), chosenBy: count('validation'), unknown: count('unknown') };
}

/** What a reader must know of the volumes and checkpoints; `which` is the checkpoint asked for. */
export function notesOnSeen(
  named: readonly { name: string }[],
  volumes: number,
  seen: readonly Seen[],
  which: 'best' | 'last' | undefined,
): string[] {
  const namesOf = (has: (one: Seen) => boolean) =>
    named.filter((_, i) => has(seen[i]!)).map(({ name }) => name);
  const notes: string[] = [];
  for (const [i, { trainedOn }] of seen.entries())
    if (trainedOn > 0)
      notes.push(`${named[i]!.name} was trained on ${trainedOn} of the ${volumes} volumes: it is flattered`);
  const others = namesOf(({ unknown }) => unknown > 0);
  if (others.length > 0)
    notes.push(
      `${others.join(', ')}: other data or another split than ${named[0]!.name}, so it may have been trained on what ` +
        'is measured here',
    );
  const chosen = namesOf(({ chosenBy }) => chosenBy > 0);
  if (chosen.length > 0 && which === undefined)
    notes.push(
      `the volumes are the validation of ${chosen.join(', ')}, so all runs are measured with their last ` +
        'checkpoint, which they did not choose; volumes that no run has seen allow the best',
    );
  if (chosen.length > 0 && which === 'best')
    notes.push(`the best checkpoint of ${chosen.join(', ')} was chosen by these volumes: it is flattered`);
  return notes;
}

export function notesOnPatients(patients: number): string[] {
  if (patients < 2)
    return [
      'one patient: an interval over patients and a test mean nothing, only the differences are of use',
    ];
  if (patients < 6)
    return [`${patients} patients: too few for a 95 % interval, and p cannot be below ${2 / 2 ** patients}`];
  return [];
}
