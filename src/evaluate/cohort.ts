import { UnreadableFile } from '../errors';
import type { LongCall } from '../progress';
import type { Reconstruction } from '../reconstruct/reconstruct';
import { digestOf } from '../train/data/loader';
import { placeOf } from '../train/data/sides';
import { isOwnFault, reasonOf } from '../volume/base/fault';
import { asGiven, findVolumes } from '../volume/intake';
import type { Intensity } from '../volume/intensity';
import { type ReadOptions, readVolume } from '../volume/read';
import { storedVolumes } from '../volume/store/dataset';
import type { LeftOut } from '../volume/store/format';
import type { Volume } from '../volume/volume';
import { type CompareOptions, type ComparisonRow, compareVolumes } from './compare';
import { type MetricName, overRows } from './metrics';
import { listed, type MissingInVolume, notesOnCohort } from './missing';

/** A volume of a cohort before it is read. */
export interface CohortFile {
  readonly name: string;
  read(): Promise<Volume>;
}

/**
 * Each file once, whatever names it is given by, so that no patient counts twice. Volumes in memory are each their own.
 * `notes` says how many names were of a file named before.
 */
export function namedOnce<T>(volumes: readonly T[]): { once: readonly T[]; notes: string[] } {
  const keys = volumes.map((volume) => (typeof volume === 'string' ? placeOf(volume) : volume));
  const once = volumes.filter((_, i) => keys.indexOf(keys[i]!) === i);
  const repeats = volumes.length - once.length;
  const note = `${repeats} of ${volumes.length} names are of a file named before: it counts once`;
  return { once, notes: repeats > 0 ? [note] : [] };
}

/** A volume of a cohort that lies in a file, a DICOM series or a dataset. */
export interface CohortVolume extends CohortFile {
  readonly patient: string;
  /** The name by which `sidesOf` knows it. */
  readonly source: string;
}

/**
 * The volumes at the paths of a cohort: files, folders, DICOM and prepared datasets. What is left out is named as the
 * caller would write it. Throws InvalidArgument if the choice fits no series.
 */
export async function findCohort(
  paths: readonly string[],
  { series: choice, beside, ...options }: ReadOptions & { readonly beside?: boolean },
): Promise<{ found: CohortVolume[]; leftOut: LeftOut[] }> {
  const intake = await findVolumes(paths, { series: choice, beside, signal: options.signal });
  const files = intake.volumes.map(
    ({ given, patient, series }): CohortVolume => ({
      name: given,
      source: given,
      patient,
      read: () => readVolume(series ?? given, options),
    }),
  );
  const stored = intake.datasets.flatMap(storedVolumes).map((volume): CohortVolume => {
    const { folder, patient } = volume;
    return { name: folder, source: folder, patient, read: () => volume.read() };
  });
  return { found: [...files, ...stored], leftOut: intake.leftOut.map(asGiven) };
}

/** A volume of a cohort in memory. */
interface ReadVolume<T> {
  readonly source: T;
  readonly volume: Volume;
  readonly onProgress: LongCall['onProgress'];
}

/**
 * Reads the volumes of a cohort one at a time, each with a callback that turns its progress into the cohort's. Those that
 * cannot be read are added to `leftOut` instead and count as done, in the units of the volume before.
 */
export async function* readCohort<T extends CohortFile>(
  files: readonly T[],
  leftOut: LeftOut[],
  tell: LongCall['onProgress'],
): AsyncGenerator<ReadVolume<T>> {
  let counted = { total: 1, what: 'volumes' };
  for (const [i, source] of files.entries()) {
    const { name } = source;
    let volume: Volume;
    try {
      volume = await source.read();
    } catch (error) {
      if (!isOwnFault(error)) throw error;
      leftOut.push({ file: name, reason: reasonOf(name, error) });
      const { total, what } = counted;
      tell?.({ done: (i + 1) * total, total: files.length * total, what });
      continue;
    }
    const onProgress: LongCall['onProgress'] = ({ done, total, what }) => {
      counted = { total, what };
      tell?.({ done: i * total + done, total: files.length * total, what: `${what} (${name})` });
    };
    yield { source, volume, onProgress };
  }
}

/** A mean of MAE or RMSE needs one unit for all volumes. */
const noCommonUnits = 'some volumes are in Hounsfield units, others are not: no mean of MAE and RMSE';

/**
 * Reconstructs and measures the volumes of a cohort, one in memory at a time. A copy of a volume before it is not measured,
 * so that no volume counts twice; a note names it. `comparable` gives a row without its errors
 * if the volumes have no common unit for them. Those that were left out before come first.
 * @param options `keeps`: if an error ends the call, the answer has what is measured by then, and the error as `ended`
 * @throws UnreadableFile if no volume can be read
 */
export async function measureCohort<T extends CohortFile>(
  files: readonly T[],
  reconstruct: (volume: Volume, tell: LongCall['onProgress']) => Promise<Record<string, Reconstruction>>,
  options: Pick<CompareOptions, 'intensity' | 'ignoreNaN'> &
    LongCall & { readonly leftOut?: readonly LeftOut[]; readonly keeps?: boolean },
) {
  const { intensity, ignoreNaN, onProgress: tell } = options;
  const leftOut = [...(options.leftOut ?? [])];
  const notes: string[] = [];
  const missing: MissingInVolume[] = [];
  /** Volumes of which some voxels are left out. */
  const holed: string[] = [];
  const measured: { source: T; row: ComparisonRow; units: Intensity['units']; seconds: number }[] = [];
  const first = new Map<string, string>();
  const copies: string[] = [];
  const measure = async ({ source, volume, onProgress }: ReadVolume<T>) => {
    const digest = digestOf(volume);
    const original = first.get(digest);
    if (original !== undefined) {
      copies.push(`${source.name} (of ${original})`);
      onProgress?.({ done: 1, total: 1, what: 'volumes' });
      return;
    }
    const made = await reconstruct(volume, onProgress);
    const compared = compareVolumes(volume, made, { intensity, ignoreNaN });
    const { units } = compared.intensity;
    for (const row of compared.metrics)
      measured.push({ source, row, units, seconds: made[row.name]!.seconds });
    missing.push(...compared.missing.map((one) => ({ volume: source.name, ...one })));
    notes.push(...volume.notes.map((note) => `${source.name}: ${note}`));
    const { nanVoxels } = compared;
    if (ignoreNaN && nanVoxels > 0) holed.push(`${source.name} (${nanVoxels} of ${volume.data.length})`);
    first.set(digest, source.name);
  };
  let ended: { readonly error: unknown } | undefined;
  try {
    for await (const one of readCohort(files, leftOut, tell)) await measure(one);
  } catch (error) {
    if (!options.keeps || measured.length === 0) throw error;
    ended = { error };
    notes.push(`the call ended early: these are ${first.size} of ${files.length} volumes`);
  }
  if (copies.length > 0) notes.push(`copies of a volume before them, which counts once: ${listed(copies)}`);
  const [worst, ...others] = leftOut;
  if (measured.length === 0) {
    const too = others.length > 0 ? `, and ${others.length} others neither` : '';
    throw new UnreadableFile(worst!.file, 'a volume', `none that can be read${too} (${worst!.reason})`);
  }
  if (holed.length > 0) notes.push(`NaN voxels count in no metric: ${listed(holed)}`);
  const has = new Set(
    measured.flatMap(({ row }) => Object.keys(overRows([row], (of) => of)) as MetricName[]),
  );
  notes.push(...notesOnCohort(missing, has));
  const mixed = new Set(measured.map(({ units }) => units)).size > 1;
  if (mixed) notes.push(noCommonUnits);
  const comparable = <R extends { readonly mae: number; readonly rmse: number }>(row: R): R =>
    mixed ? { ...row, mae: Number.NaN, rmse: Number.NaN } : row;
  return {
    measured,
    leftOut,
    missing,
    notes,
    comparable,
    ended,
    units: mixed ? 'file' : measured[0]!.units,
  } as const;
}
