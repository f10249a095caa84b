/** The shared part of the prepare scripts: it checks a download, reports what is missing, and prepares it. */
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import {
  InvalidArgument,
  inspectVolumes,
  isPatchwiseError,
  type LongCall,
  listSeries,
  type PrepareOptions,
  patientByName,
  prepareDataset,
  readVolume,
} from '../src/index';
import { oddityText } from '../src/internal';

/** A collection to download. */
export interface Collection {
  readonly name: string;
  /** Contents of a whole download, if known. */
  readonly expected?: { readonly volumes: number; readonly patients: number };
  /** A pattern on the path within the input; its first group is the patient. Default: by the file's name. */
  readonly patient?: string;
  /** Pattern by which dcm2niix names files, if the usual one would lose the patient. */
  readonly convertedName?: string;
  /** A file with fewer slices is a localiser or a broken series. */
  readonly fewestSlices: number;
}

/** The contents of a folder. */
export interface Found {
  /** Paths of files, and names of DICOM series, that can be prepared. */
  readonly volumes: readonly string[];
  readonly patients: ReadonlySet<string>;
  /** DICOM files that must be converted first, because the collection's patients are in no pseudonym. */
  readonly toConvert: number;
  /** Files that a person should look at. */
  readonly problems: readonly { readonly file: string; readonly reason: string }[];
}

/**
 * Checks every file that `prepareDataset` would take from a folder: the headers of all, and the voxels of the first
 * volume.
 */
export async function inspect(input: string, collection: Collection, call: LongCall = {}): Promise<Found> {
  if (!existsSync(input)) throw new InvalidArgument('input', 'the folder of the download', input);
  const inspection = await inspectVolumes(input, { ...call, voxels: false }).catch(unlessPatchwise);
  if (!inspection) return { volumes: [], patients: new Set(), toConvert: 0, problems: [] };
  const volumes: string[] = [];
  const patients = new Set<string>();
  const problems: { file: string; reason: string }[] = [...inspection.leftOut];
  const ownPatients = collection.patient !== undefined;
  for (const { file, format, shape, patient: known } of inspection.volumes) {
    const isDicom = format === 'dicom';
    // A collection with a pattern names its patients itself; a pseudonym would match no list of them.
    if (isDicom && ownPatients) continue;
    const patient = isDicom ? known : patientOf(file, collection);
    if (shape[2] < collection.fewestSlices) problems.push({ file, reason: tooThin(shape[2]) });
    else if (patient === undefined)
      problems.push({
        file,
        reason: `its name does not match the pattern of patients (${collection.patient})`,
      });
    else {
      volumes.push(isDicom ? file : join(input, file));
      patients.add(patient);
    }
  }
  const first = volumes.find((path) => existsSync(path));
  if (first) problems.push(...(await unlikeHounsfield(first, relative(input, first))));
  problems.sort((a, b) => (a.file < b.file ? -1 : 1));
  const toConvert = ownPatients ? await countDicom(input, call) : 0;
  return { volumes, patients, toConvert, problems };
}

/** How many DICOM files are images of volumes. */
async function countDicom(input: string, call: LongCall): Promise<number> {
  const dicom = await listSeries(input, call).catch(unlessPatchwise);
  return (dicom?.series ?? []).flatMap(({ files, unusable }) => (unusable ? [] : files)).length;
}

function tooThin(slices: number): string {
  return `${slices} slices: a localiser or a broken series`;
}

/** Undefined for an error of ours; throws any other. */
function unlessPatchwise(error: unknown): undefined {
  if (!isPatchwiseError(error)) throw error;
  return undefined;
}

function patientOf(name: string, { patient }: Collection): string | undefined {
  if (patient === undefined) return patientByName(name);
  const match = new RegExp(patient, 'u').exec(name);
  return match?.[1] ?? match?.[0];
}

async function unlikeHounsfield(file: string, name: string): Promise<{ file: string; reason: string }[]> {
  const { data } = await readVolume(file);
  const least = data.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const reason = `its least value is ${least}: not Hounsfield units, or already windowed`;
  return least < -200 ? [] : [{ file: name, reason }];
}

/** A report for the user, line by line. */
export function adviceOn(found: Found, input: string, collection: Collection): string[] {
  const { volumes, patients, toConvert, problems } = found;
  const lines = [`${collection.name}: ${volumes.length} volumes of ${patients.size} patients in ${input}`];
  for (const { file, reason } of problems.slice(0, 20)) lines.push(`  look at ${file}: ${reason}`);
  if (problems.length > 20) lines.push(`  and ${problems.length - 20} more`);
  if (toConvert > 0)
    lines.push(
      `${toConvert} DICOM files; convert them first, with names that hold the collection's patients`,
      `(dcm2niix comes with most Linux distributions, conda and Homebrew):`,
      `  ${dcm2niixCommand(input, collection.convertedName)}`,
    );
  if (volumes.length === 0 && toConvert === 0) lines.push('nothing to prepare: no volume files and no DICOM');
  const { expected } = collection;
  if (expected && volumes.length > 0 && volumes.length < expected.volumes)
    lines.push(
      `missing: ${expected.volumes - volumes.length} of ${expected.volumes} volumes ` +
        `(${expected.patients} patients) of the whole collection; a part of it works too`,
    );
  return lines;
}

/** @param name dcm2niix's pattern for file names; default: the patient's id and the series' number */
function dcm2niixCommand(folder: string, name = '%i_%s'): string {
  const [from, to] = [folder, `${folder}-nifti`].map((path) =>
    /[^\w./~+-]/.test(path) ? `'${path}'` : path,
  );
  return `mkdir -p ${to} && dcm2niix -z y -b n -f ${name} -o ${to} -d 9 ${from}`;
}

/** Checks a download, prints a report, and prepares it. Returns the exit code. */
export async function prepareCollection(
  collection: Collection,
  args: readonly string[],
  say: (line: string) => void = (line) => process.stdout.write(`${line}\n`),
): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      check: { type: 'boolean' },
      spacing: { type: 'string' },
      seed: { type: 'string' },
    },
  });
  const [input, output] = positionals;
  if (!input || (!output && !values.check))
    throw new InvalidArgument(
      'folders',
      'prepare.js DOWNLOAD DATASET [--spacing mm] [--seed n], or DOWNLOAD --check',
      args,
    );
  const found = await inspect(input, collection);
  for (const line of adviceOn(found, input, collection)) say(line);
  if (values.check || !output) return found.volumes.length > 0 ? 0 : 1;
  if (found.volumes.length === 0) return 1;
  const mm = values.spacing === undefined ? undefined : Number(values.spacing);
  const options: PrepareOptions = {
    canonical: true,
    intensity: 'ctpa',
    ...(values.seed !== undefined && { seed: Number(values.seed) }),
    ...(mm !== undefined && { spacing: [mm, mm, mm] }),
    ...(collection.patient !== undefined && { patient: collection.patient }),
    onProgress: ({ done, total, what }) => process.stderr.write(`${done} of ${total} ${what}\n`),
  };
  const prepared = await prepareDataset(input, output, { ...options, only: found.volumes });
  const { train, validation, test } = prepared.split;
  for (const { file, reason } of prepared.leftOut) say(`  left out ${file}: ${reason}`);
  for (const note of [...prepared.oddities.map(oddityText), ...prepared.notes]) say(`  note: ${note}`);
  say(
    `written ${prepared.written.length}, kept ${prepared.kept.length}, left out ${prepared.leftOut.length}`,
  );
  say(
    `patients: ${train.patients} to train on, ${validation.patients} to validate, ${test.patients} to test`,
  );
  say(`next: npx patchwise train --preset guide --data ${output} --ranks 4`);
  return 0;
}

/** Runs the script with the arguments of the command line. */
export function main(collection: Collection): void {
  prepareCollection(collection, process.argv.slice(2)).then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
      process.exitCode = error instanceof InvalidArgument ? 2 : 1;
    },
  );
}
