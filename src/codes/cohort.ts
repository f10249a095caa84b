import { basename, join, resolve } from 'node:path';
import { writeTo } from '../atomic-file';
import { type CohortFile, readCohort } from '../evaluate/cohort';
import { makeFolder } from '../make-folder';
import { perplexity, usage } from '../model/codebook';
import { chooseCheckpoint, type ModelSource } from '../reconstruct/pass';
import type { ChosenCheckpoint } from '../train/record/choose-checkpoint';
import { asGiven, findVolumes, nothingFound } from '../volume/intake';
import { nameVolumes } from '../volume/prepare/sources';
import { type ReadOptions, readVolume } from '../volume/read';
import { storedVolumes } from '../volume/store/dataset';
import type { LeftOut } from '../volume/store/format';
import { type EncodeOptions, encode } from './encode';
import { writeCodes } from './file';

/** One volume of a cohort as codes. */
export interface EncodedRow {
  readonly file: string;
  readonly output: string;
  /** Of the codes' file. */
  readonly bytes: number;
  /** Size of the volume as 16-bit integers, over that. */
  readonly ratio: number;
  readonly perplexity: number;
  readonly usage: number;
  readonly seconds: number;
}

/** Options of `encodeFiles`. */
export interface EncodeFilesOptions extends EncodeOptions, Pick<ReadOptions, 'canonical' | 'series'> {}

export interface EncodedCohort {
  /** The model that encoded all volumes. */
  readonly checkpoint: ChosenCheckpoint;
  readonly rows: readonly EncodedRow[];
  /** Of the codes of all volumes together. */
  readonly perplexity: number;
  readonly usage: number;
  /** Files that could not be read, and why. */
  readonly leftOut: readonly LeftOut[];
}

/**
 * Encodes volume files, folders of them or of DICOM, or a dataset to `<name>.npz` files, one volume in memory at a time. A
 * file that cannot be read is left out with its reason. Volumes of a dataset that a model made are skipped.
 *
 * @throws InvalidArgument if there is nothing to encode; errors of `encode`
 */
export async function encodeFiles(
  model: ModelSource,
  input: string | readonly string[],
  folder: string,
  options: EncodeFilesOptions = {},
): Promise<EncodedCohort> {
  const { volumes, leftOut } = await volumesOf(input, options);
  // Once: a run that goes on may have another one by the next volume.
  const checkpoint = await chooseCheckpoint(model, options.checkpoint);
  writeTo('folder', folder, () => makeFolder(folder));
  const rows: EncodedRow[] = [];
  let counts: Float64Array | undefined;
  let started = performance.now();
  for await (const { source, volume, onProgress } of readCohort(volumes, leftOut, options.onProgress)) {
    const { name: file, stem } = source;
    const codes = await encode(checkpoint.dir, volume, { ...options, onProgress });
    const output = join(folder, `${stem}.npz`);
    const { bytes } = await writeCodes(output, codes);
    const own = codes.counts();
    counts ??= new Float64Array(own.length);
    for (let code = 0; code < own.length; code++) counts[code]! += own[code]!;
    const seconds = (performance.now() - started) / 1000;
    started = performance.now();
    const ratio = (2 * volume.data.length) / bytes;
    rows.push({ file, output, bytes, ratio, seconds, perplexity: perplexity(own), usage: usage(own) });
  }
  const all = counts ?? new Float64Array(1);
  return { checkpoint, rows, leftOut, perplexity: perplexity(all), usage: usage(all) };
}

interface NamedFile extends CohortFile {
  /** Of its codes, without the ending. */
  readonly stem: string;
}

async function volumesOf(input: string | readonly string[], options: EncodeFilesOptions) {
  const { canonical, series: choice, signal } = options;
  const intake = await findVolumes(input, { series: choice, signal });
  const { datasets } = intake;
  const stored = datasets.flatMap((dir) =>
    storedVolumes(dir).map((volume): NamedFile => {
      const { name } = volume;
      const stem = datasets.length > 1 ? `${basename(resolve(dir))}__${name}` : name;
      return { name, stem, read: () => volume.read() };
    }),
  );
  const found = nameVolumes(intake.volumes).map(({ name, given, path, series }): NamedFile => {
    return { name: given, stem: name, read: () => readVolume(series ?? path, { canonical, signal }) };
  });
  const volumes = [...stored, ...found];
  if (volumes.length === 0) throw nothingFound('input', input, intake);
  return { volumes, leftOut: intake.leftOut.map(asGiven) };
}
