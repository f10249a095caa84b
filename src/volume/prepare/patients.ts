import { InvalidArgument } from '../../errors';
import { Random } from '../../random';
import { volumeStem } from '../formats/names';
import { type DatasetIndex, type SplitName, splitNames } from '../store/format';
import type { PatientRow } from './csv';
import type { Source } from './sources';

/** Fractions of the patients in train, validation and test. They sum to 1. */
export type Fractions = readonly [number, number, number];

/** The patient of a file, and its side if a table gives one. */
export interface Ownership {
  readonly patient: string;
  readonly split?: SplitName;
}

/**
 * The patient of each file: by a pattern on the path within the input (its first group, or the whole match), by a table,
 * or as the intake found it: by `patientByName`, or the pseudonym of DICOM. The result leaves out files that the table does
 * not name.
 * @throws InvalidArgument if the pattern does not match a file, or the table is empty or has a patient on two sides
 */
export function patientsOf(
  sources: readonly Source[],
  options: { readonly pattern?: string | RegExp; readonly table?: readonly PatientRow[] },
): Map<Source, Ownership> {
  if (options.table) return byTable(sources, options.table);
  const pattern = options.pattern === undefined ? undefined : compile(options.pattern);
  return new Map(
    sources.map((source) => {
      if (source.series || !pattern) return [source, { patient: source.patient }];
      const match = pattern.exec(source.file);
      const patient = match?.[1] ?? match?.[0];
      if (!patient)
        throw new InvalidArgument('patient', `a pattern that matches ${source.file}`, `${pattern}`);
      return [source, { patient }];
    }),
  );
}

/** Gives files of the dataset the patient that an earlier table or pattern gave them. DICOM tells its own patients. */
export function keepPatients(
  owners: ReadonlyMap<Source, Ownership>,
  before: Partial<DatasetIndex> | undefined,
) {
  const stored = new Map((before?.volumes ?? []).filter(({ added }) => !added).map((one) => [one.name, one]));
  const kept: Source[] = [];
  const all = [...owners].map(([source, owner]): [Source, Ownership] => {
    const { patient, source: from } = stored.get(source.name) ?? {};
    if (source.series || from?.file !== source.file || !patient || patient === owner.patient)
      return [source, owner];
    kept.push(source);
    return [source, { patient }];
  });
  const example = `${kept[0]?.file} is of ${stored.get(kept[0]?.name ?? '')?.patient}`;
  const note = `patients are those of an earlier table or pattern for ${kept.length} files, such as: ${example}`;
  return { owners: new Map(all), notes: kept.length > 0 ? [note] : [] };
}

function compile(pattern: string | RegExp): RegExp {
  try {
    // Without g and y, because these continue after the last match.
    return new RegExp(pattern, typeof pattern === 'string' ? 'u' : pattern.flags.replace(/[gy]/g, ''));
  } catch (error) {
    throw new InvalidArgument('patient', 'a regular expression', `${pattern} (${(error as Error).message})`);
  }
}

function byTable(sources: readonly Source[], table: readonly PatientRow[]): Map<Source, Ownership> {
  const sides = new Map<string, SplitName>();
  for (const { patient, split } of table) {
    if (!split) continue;
    const other = sides.get(patient);
    if (other && other !== split)
      throw new InvalidArgument('csv', `patient ${patient} on one side`, [other, split]);
    sides.set(patient, split);
  }
  if (table.length === 0) throw new InvalidArgument('csv', 'at least one row file,patient', 'none');
  const owners = new Map<Source, Ownership>();
  for (const { file, patient } of table) {
    const source = find(sources, file);
    const other = owners.get(source)?.patient;
    if (other !== undefined && other !== patient)
      throw new InvalidArgument('csv', `${file} of one patient`, [other, patient]);
    const split = sides.get(patient);
    owners.set(source, { patient, ...(split && { split }) });
  }
  return owners;
}

/**
 * Finds a file by its path within the input, or by its name if that is unique, with or without extension. It normalises
 * names, because macOS may write accents as separate characters and tables seldom do.
 */
function find(sources: readonly Source[], file: string): Source {
  const stem = (name: string) => volumeStem(name).normalize('NFC');
  const wanted = stem(file.replaceAll('\\', '/').replace(/^\.\//, ''));
  const same = sources.filter((source) => source.file === file);
  const byPath = same.length > 0 ? same : sources.filter((source) => stem(source.file) === wanted);
  const byName =
    byPath.length > 0 ? byPath : sources.filter((s) => stem(s.file.split('/').at(-1)!) === wanted);
  if (byName.length === 1) return byName[0]!;
  const expected =
    byName.length === 0 ? 'files of the input' : 'a path, because several files have this name';
  throw new InvalidArgument('csv', expected, file);
}

/**
 * The side of each patient. Sides in `fixed`, from a table or an earlier split, stay. The other patients are drawn in an
 * order given by the seed and their names, each to the side that lacks most. No patient changes sides as long as `fixed`
 * holds everybody who was ever drawn, even those whose files are temporarily gone.
 */
export function splitPatients(
  patients: Iterable<string>,
  options: {
    readonly fractions: Fractions;
    readonly seed: number;
    readonly fixed?: ReadonlyMap<string, SplitName>;
  },
): Map<string, SplitName> {
  const { fractions, seed, fixed = new Map<string, SplitName>() } = options;
  const all = [...new Set(patients)].sort();
  const missing = sideSizes(all.length, fractions);
  const sides = new Map<string, SplitName>();
  for (const patient of all) {
    const side = fixed.get(patient);
    if (!side) continue;
    sides.set(patient, side);
    missing[splitNames.indexOf(side)]!--;
  }
  const drawn = all
    .filter((patient) => !sides.has(patient))
    .map((patient) => ({ patient, order: new Random(seed, 'split', patient).next() }))
    .sort((a, b) => a.order - b.order);
  for (const { patient } of drawn) {
    const side = missing.indexOf(Math.max(...missing));
    sides.set(patient, splitNames[side]!);
    missing[side]!--;
  }
  return sides;
}

/** Patients on each side, by largest remainder. A side with a fraction above 0 gets at least one if there are enough. */
function sideSizes(count: number, fractions: Fractions): number[] {
  const exact = fractions.map((fraction) => fraction * count);
  const sizes = exact.map((size) => Math.floor(size + 1e-9));
  const byRemainder = [0, 1, 2].sort((a, b) => exact[b]! - sizes[b]! - (exact[a]! - sizes[a]!));
  for (let n = 0; sizes.reduce((a, b) => a + b) < count; n++) sizes[byRemainder[n % 3]!]!++;
  for (const side of [0, 1, 2]) {
    const largest = sizes.indexOf(Math.max(...sizes));
    if (sizes[side]! > 0 || fractions[side] === 0 || sizes[largest]! < 2) continue;
    sizes[largest]!--;
    sizes[side]!++;
  }
  return sizes;
}

/** @throws InvalidArgument unless these are three numbers of at least 0 that sum to 1 */
export function checkFractions(fractions: readonly number[]): Fractions {
  const sum = fractions.reduce((a, b) => a + b, 0);
  const valid =
    fractions.length === 3 && fractions.every((f) => f >= 0 && f <= 1) && Math.abs(sum - 1) < 1e-6;
  if (!valid) {
    const expected = 'three fractions that add up to 1 (train, validation, test)';
    throw new InvalidArgument('split', expected, fractions);
  }
  return [fractions[0]!, fractions[1]!, fractions[2]!];
}
