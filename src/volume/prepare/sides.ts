/** Which side each patient is on, from call to call. Nobody changes sides unless the call asks for it. */
import { InvalidArgument } from '../../errors';
import { knownSides } from '../store/dataset-index';
import { same } from '../store/files';
import { type DatasetIndex, type IndexEntry, type SplitName, splitNames } from '../store/format';
import type { Fractions, Ownership } from './patients';
import type { Source } from './sources';

/** What decides the sides. `fractions` and `seed` are undefined if the call gives none. */
export interface SplitRequest {
  readonly owners: ReadonlyMap<Source, Ownership>;
  readonly fractions: Fractions | undefined;
  readonly seed: number | undefined;
  /** Whether patients may change sides. */
  readonly resplit: boolean;
}

/** How the sides of new patients are drawn, and the sides that stay. Later ones of the same patient win. */
export interface SidePlan {
  readonly fractions: Fractions;
  readonly seed: number;
  readonly fixed: readonly (readonly [patient: string, side: SplitName])[];
}

/**
 * Plans the sides before any volume is prepared. A call without fractions and seed uses those of the dataset. All patients
 * of the dataset stay, also those whose files are away. A volume whose patient has a new name stays too.
 * @param before the index of the last call
 * @throws InvalidArgument if a patient or a volume would change sides and the call does not ask for it by `resplit`
 */
export function planSides(request: SplitRequest, before: Partial<DatasetIndex> | undefined): SidePlan {
  const { owners, resplit } = request;
  const drawn = isDrawn(before) ? before : undefined;
  const fractions = request.fractions ?? drawn?.fractions ?? [0.8, 0.1, 0.1];
  const seed = request.seed ?? drawn?.seed ?? 0;
  const isOther = drawn !== undefined && !(drawn.seed === seed && same(drawn.fractions, fractions));
  if (isOther && !resplit) {
    const stored = `the dataset's own, ${drawn.fractions?.join(',')} drawn by seed ${drawn.seed}`;
    throw new InvalidArgument('split', `${stored} (${askFor})`, `${fractions.join(',')} by seed ${seed}`);
  }
  const volumes = (before?.volumes ?? []).filter(
    ({ added, split }) => added !== 'blended' && splitNames.includes(split),
  );
  const known = isOther ? [] : knownSides(before);
  const given = volumes.filter(({ added }) => added).map(({ patient, split }) => [patient, split] as const);
  const table = [...owners.values()].flatMap(({ patient, split }) =>
    split ? ([[patient, split]] as const) : [],
  );
  const renamed = isOther ? [] : sidesOfRenamed(owners, volumes, new Map(known));
  const fixed = [...known, ...renamed, ...given, ...table];
  if (!resplit) checkStay(owners, volumes, new Map(known), new Map(fixed));
  return { fractions, seed, fixed };
}

const askFor = 'another one moves patients from train to test and back; `resplit` asks for that';

/** Whether an index has sides by a draw. If every volume was added alone, its fractions say nothing. */
function isDrawn(
  index: Partial<DatasetIndex> | undefined,
): index is Partial<DatasetIndex> & Pick<DatasetIndex, 'seed' | 'fractions'> {
  return index?.fractions !== undefined && !(index.volumes ?? []).every(({ added }) => added);
}

/** The side of patients without one whose volumes were those of patients with other names, if all had the same side. */
function sidesOfRenamed(
  owners: SplitRequest['owners'],
  volumes: readonly IndexEntry[],
  known: ReadonlyMap<string, SplitName>,
): [string, SplitName][] {
  const sides = new Map<string, Set<SplitName>>();
  for (const [{ name }, { patient }] of owners) {
    const before = volumes.find((volume) => volume.name === name)?.split;
    if (before && !known.has(patient))
      sides.set(patient, (sides.get(patient) ?? new Set<SplitName>()).add(before));
  }
  return [...sides].flatMap(([patient, [side, ...others]]) =>
    side && others.length === 0 ? [[patient, side] as [string, SplitName]] : [],
  );
}

/** @throws InvalidArgument with the volumes and patients that would change sides */
function checkStay(
  owners: SplitRequest['owners'],
  volumes: readonly IndexEntry[],
  known: ReadonlyMap<string, SplitName>,
  fixed: ReadonlyMap<string, SplitName>,
): void {
  const moves = new Set<string>();
  const sides = new Map(volumes.map(({ name, split }) => [name, split]));
  for (const [{ name }, { patient }] of owners) {
    const [before, now] = [sides.get(name), fixed.get(patient)];
    // Without a fixed side its volumes were on several, so a draw moves some of them.
    if (before && before !== now) moves.add(`${name} (${before} to ${now ?? 'one side with the others'})`);
  }
  for (const [patient, before] of known)
    if (fixed.get(patient) !== before) moves.add(`patient ${patient} (${before} to ${fixed.get(patient)})`);
  if (moves.size === 0) return;
  const expected = 'a table or pattern that leaves patients and volumes on their sides, or `resplit`';
  throw new InvalidArgument('split', expected, [...moves].join(', '));
}
