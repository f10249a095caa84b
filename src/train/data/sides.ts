/** What each volume is to a run: the sides of its split, and whole volumes that it did not train on. */

import { existsSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { attempt, InvalidConfig } from '../../errors';
import type { Vec3 } from '../../vec3';
import { isSeriesName } from '../../volume/dicom/pseudonym';
import { volumeStem } from '../../volume/formats/names';
import { patientByName } from '../../volume/patient-name';
import { checksum } from '../../volume/prepare/one-volume';
import { stateOf } from '../../volume/prepare/sources';
import { readVolume } from '../../volume/read';
import { isDataset, openDataset } from '../../volume/store/dataset';
import type { SplitName } from '../../volume/store/format';
import { slabOf } from '../../volume/view';
import type { Volume } from '../../volume/volume';
import type { RunConfig } from '../settings/config';
import { isPhantom, parsePhantom, readSource, sourceShape } from './loader';
import { planSplit } from './split';

/**
 * What a volume was to a run: trained on, whole or in part; validation, which chose its best checkpoint; or the test
 * side of its dataset, which it never saw.
 */
export type RunSide = SplitName | 'part';

/** The side of a file, of a phantom's name or of a volume of the run's dataset; undefined for all others. */
type SideOf = (source: string) => Promise<RunSide | undefined>;

/** A volume of a run, with what identifies its file in another place. */
interface KnownVolume {
  readonly source: string;
  readonly side: RunSide;
  readonly content?: { readonly bytes: number; readonly sha256: string };
}

/** Knows a run's volumes by their paths, and files by their content if that is the same in another place. */
export async function sidesOf(config: RunConfig): Promise<SideOf> {
  const volumes = config.data.some(isDataset)
    ? config.data.filter(isDataset).flatMap(storedVolumes)
    : await fileVolumes(config);
  // A DICOM series has one name in datasets, in converted files and in the data of runs.
  const names = new Map(volumes.toReversed().map(({ source, side }) => [volumeStem(basename(source)), side]));
  const places = new Map(volumes.toReversed().map(({ source, side }) => [placeOf(source), side]));
  const contents = new Contents(volumes);
  return async (source) => {
    const named = isSeriesName(source) ? names.get(source) : places.get(placeOf(source));
    if (named) return named;
    if (!existsSync(source) || isDataset(source)) return undefined;
    return contents.sideOf(source);
  };
}

/** Finds a run's volume by its content. Reads each of its files once at most, and only if a file of its size comes. */
class Contents {
  private readonly sums = new Map<KnownVolume, string>();
  private readonly bySize = new Map<number, KnownVolume[]>();

  constructor(volumes: readonly KnownVolume[]) {
    for (const volume of volumes) {
      const { source, content } = volume;
      const bytes = content?.bytes ?? attempt(() => stateOf({ path: source }).bytes);
      if (bytes === undefined) continue; // a phantom, or a file that is gone
      const same = this.bySize.get(bytes);
      if (same) same.push(volume);
      else this.bySize.set(bytes, [volume]);
    }
  }

  async sideOf(path: string): Promise<RunSide | undefined> {
    const same = this.bySize.get(stateOf({ path }).bytes) ?? [];
    if (same.length === 0) return undefined;
    const wanted = await checksum({ path });
    for (const volume of same) if ((await this.sumOf(volume)) === wanted) return volume.side;
    return undefined;
  }

  private async sumOf(volume: KnownVolume): Promise<string> {
    const { source, content } = volume;
    const sum = content?.sha256 ?? this.sums.get(volume) ?? (await checksum({ path: source }));
    this.sums.set(volume, sum);
    return sum;
  }
}

function storedVolumes(dir: string): KnownVolume[] {
  const own = openDataset(dir).volumes.filter(({ blended }) => !blended);
  return own.map(({ folder, split, original }) => ({ source: folder, side: split, content: original }));
}

async function fileVolumes(config: RunConfig): Promise<KnownVolume[]> {
  // Files that were moved away have no shapes, and the split of a single volume needs its depth.
  const shapes = await shapesOf(config).catch(() => []);
  if (shapes.length === 0) return [];
  const { train, validation } = planSplit(shapes, config);
  const held = new Set(validation.map(({ volume }) => volume));
  const trained = new Set(train.map(({ volume }) => volume));
  return config.data.map((source, i) => ({
    source,
    side: !trained.has(i) ? 'validation' : held.has(i) ? 'part' : 'train',
  }));
}

function shapesOf(config: RunConfig): Promise<Vec3[]> {
  return Promise.all(config.data.map((source) => sourceShape(source, config)));
}

/** One place for all names of a file. */
export function placeOf(source: string): string {
  return attempt(() => realpathSync(source)) ?? source; // a phantom's name, or a file that is gone
}

/** A volume that a run did not train on. */
export interface HeldOut {
  readonly name: string;
  readonly patient: string;
  /** `validation`: it chose the run's best checkpoint; `test`: it chose nothing. */
  readonly side: 'validation' | 'test';
  /** The name by which `sidesOf` knows it; absent for a slab of a volume. */
  readonly source?: string;
  read(): Promise<Volume>;
}

/**
 * What a run did not train on, at full resolution: the test side of a prepared dataset (its validation side if it has no
 * test side), the volumes held out for validation, or the held-out slab of a single volume.
 */
export async function heldOut(config: RunConfig): Promise<HeldOut[]> {
  if (config.data.some(isDataset)) return config.data.flatMap(datasetSide);
  const shapes = await shapesOf(config);
  const { validation } = planSplit(shapes, config);
  if (validation.length === 0)
    throw new InvalidConfig([
      { key: 'validation', expected: 'a part that is held out, to compare on', received: config.validation },
    ]);
  return validation.map(({ volume, from, to }) => {
    const source = config.data[volume]!;
    const patient = config.patients?.[volume] ?? volumeAt(source).patient;
    const read = () => readSource(source, config);
    if (to - from === shapes[volume]![2]) return { name: source, patient, side: 'validation', source, read };
    const name = `${source} [${from}, ${to})`;
    return { name, patient, side: 'validation', read: async () => slabOf(await read(), from, to) };
  });
}

function datasetSide(dir: string): HeldOut[] {
  const dataset = openDataset(dir);
  const test = dataset.side('test');
  const side = test.length > 0 ? 'test' : 'validation';
  return dataset.side(side).map((volume) => {
    const { name, patient, folder: source } = volume;
    return { name, patient, side, source, read: () => volume.read() };
  });
}

/** The patient of a file or phantom, and how to read it. */
export function volumeAt(source: string): Pick<HeldOut, 'patient' | 'read'> {
  return {
    patient: isPhantom(source) ? source : patientByName(source),
    read: async () => parsePhantom(source) ?? (await readVolume(source)),
  };
}
