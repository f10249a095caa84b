/** Looks at volumes before they are used: what they are, and what is odd about them. */
import { setImmediate } from 'node:timers/promises';
import { attempt, UnreadableFile } from '../../errors';
import { onOneLine } from '../../escape';
import type { LongCall } from '../../progress';
import type { Vec3 } from '../../vec3';
import type { Affine } from '../base/affine';
import { isOwnFault, reasonOf } from '../base/fault';
import { headerSpacing, type VolumeHeader } from '../formats/header';
import { canonicalAxes, orientationOf } from '../orient';
import { checkVolume, type ReadOptions } from '../read';
import type { LeftOut } from '../store/format';
import { readPatientTable } from './csv';
import { type Oddity, odditiesOf } from './oddities';
import { patientsOf } from './patients';
import { type Source, searchInput } from './sources';
import { readFacts, type VoxelFacts } from './voxel-facts';

/** One volume as its file describes it. */
export interface InspectedVolume {
  readonly file: string;
  readonly patient: string;
  readonly format: VolumeHeader['format'] | 'dicom';
  readonly shape: Vec3;
  /** In mm. */
  readonly spacing: Vec3 | undefined;
  /** Where the axes run, such as LPS; undefined for DICOM, and if the affine is singular. */
  readonly orientation: string | undefined;
  readonly affine: Affine | undefined;
  /** Whether the header tells how the volume lies in the patient. */
  readonly placed: boolean;
  /** Undefined for DICOM. */
  readonly dtype: string | undefined;
  /** How many volumes the file holds. */
  readonly volumes: number;
  /** Undefined if only headers are read, and for DICOM. */
  readonly voxels: VoxelFacts | undefined;
  /** Notes on a DICOM series. */
  readonly notes: readonly string[];
}

/** What an inspection found. */
export interface Inspection {
  readonly volumes: readonly InspectedVolume[];
  /** Files that are not used, and why. */
  readonly leftOut: readonly LeftOut[];
  /** What is odd, each with the files that it concerns. */
  readonly oddities: readonly Oddity[];
  /** How patients are told apart, with an example. */
  readonly patientRule: string;
}

export interface InspectOptions
  extends Pick<ReadOptions, 'canonical' | 'index' | 'channel' | 'series'>,
    LongCall {
  /** A pattern on a file's path within the input; its first group is the patient. Default: `patientByName`. */
  readonly patient?: string | RegExp;
  /** Path of a table `file,patient[,split]`. Only files in it count. */
  readonly csv?: string;
  /** Read the voxels too, once and in little memory; default true. The voxels of DICOM are not read. */
  readonly voxels?: boolean;
}

/**
 * Looks at volumes before they are used: sizes, spacings, orientations, types, ranges and patients, which files cannot be
 * used and why, and what is odd, such as volumes that are not in Hounsfield units among others that are. It finds the same
 * files as every other call that takes volumes.
 *
 * ```ts
 * const inspection = await pw.inspectVolumes('ct.nii.gz');
 * pw.display(inspection); // a table; for many volumes a summary
 * ```
 * @param input volume files, folders that are searched, DICOM
 * @throws InvalidArgument for wrong options, or if there is nothing; the signal's reason on abort
 */
export async function inspectVolumes(
  input: string | readonly string[],
  options: InspectOptions = {},
): Promise<Inspection> {
  const { patient, csv, series, signal } = options;
  const table = csv === undefined ? undefined : readPatientTable(csv);
  const { sources, leftOut } = await searchInput(input, { series, signal });
  const owners = patientsOf(sources, { pattern: patient, table });
  const named = [...owners].map(([source, owner]) => ({ ...source, patient: owner.patient }));
  return inspectFiles(named, leftOut, options);
}

/** A file with its patient. */
export interface InspectedFile extends Pick<Source, 'path' | 'file' | 'series'> {
  readonly patient: string;
  /** Notes on the DICOM series of which `path` was made. */
  readonly converted?: readonly string[];
}

/** Files read at once: decompression uses the threads of Node's pool. */
const atOnce = 4;

/**
 * Looks at each file. Those that cannot be read are left out, behind those that were left out before. Throws any error that
 * is not one file's.
 * @param options `holdsOut`: a run will hold some of the volumes out
 */
export async function inspectFiles(
  files: readonly InspectedFile[],
  leftOutBefore: readonly LeftOut[],
  options: InspectOptions & { readonly holdsOut?: boolean },
): Promise<Inspection> {
  const { signal, onProgress } = options;
  const looked: (InspectedVolume | LeftOut)[] = [];
  let done = 0;
  const tell = () => onProgress?.({ done, total: files.length, what: 'files looked at' });
  if (files.length > 0) tell();
  const waiting = [...files.entries()];
  const lane = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [i, file] = next;
      signal?.throwIfAborted();
      try {
        looked[i] = await inspectOne(file, options);
      } catch (error) {
        if (!isOwnFault(error)) {
          waiting.length = 0;
          throw error;
        }
        looked[i] = { file: file.file, reason: reasonOf(file.file, error) };
      }
      done++;
      tell();
      await setImmediate();
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: atOnce }, lane));
  const ended = lanes.find((one) => one.status === 'rejected');
  if (ended) throw ended.reason;
  const volumes = looked.filter((one): one is InspectedVolume => !('reason' in one));
  const { patient, csv } = options;
  return {
    volumes,
    leftOut: [...leftOutBefore, ...looked.filter((one): one is LeftOut => 'reason' in one)],
    oddities: odditiesOf(volumes, { ...options, byName: patient === undefined && csv === undefined }),
    patientRule: patientRule(files, options),
  };
}

async function inspectOne(file: InspectedFile, options: InspectOptions): Promise<InspectedVolume> {
  const { series, path, patient, converted } = file;
  const common = { file: file.file, patient };
  if (series) {
    const spacing = series.geometry?.spacing;
    const unknown = { orientation: undefined, affine: undefined, dtype: undefined, voxels: undefined };
    const { shape, notes } = series;
    return { ...common, format: 'dicom', shape, spacing, ...unknown, placed: true, volumes: 1, notes };
  }
  const { canonical, index, channel, signal, voxels = true } = options;
  const how = { index, channel, signal };
  const read = voxels
    ? await readFacts(path, how)
    : { header: await checkVolume(path, how), facts: undefined };
  const { header, facts } = read;
  if (voxels && !facts) throw new UnreadableFile(path, 'voxels that are finite numbers', 'none');
  const { format, shape, affine, datatype: dtype, qform, sform } = header;
  if (canonical) canonicalAxes(affine); // throws as it would later
  return {
    ...common,
    format: converted ? 'dicom' : format,
    shape,
    spacing: headerSpacing(header),
    orientation: attempt(() => orientationOf(affine)),
    affine,
    placed: qform.code > 0 || sform.code > 0,
    dtype,
    volumes: header.series.reduce((a, b) => a * b, 1),
    voxels: facts,
    notes: converted ?? [],
  };
}

function patientRule(files: readonly InspectedFile[], { patient, csv }: InspectOptions): string {
  const isDicom = ({ series, converted }: InspectedFile) => series !== undefined || converted !== undefined;
  const example = files.find((file) => !isDicom(file));
  const dicom = files.some(isDicom) ? 'DICOM: a pseudonym of the patient id in the files' : '';
  if (!example) return dicom;
  const by =
    csv !== undefined
      ? `the table ${csv}`
      : patient !== undefined
        ? `the pattern ${patient}`
        : "the name up to its first number, or else the folder's";
  const rule = `${by}: ${example.patient} of ${example.file}`;
  return dicom === '' ? rule : `${rule}; ${dicom}`;
}

/**
 * The error for everything that is odd or left out, for a caller who wants neither. Undefined if there is nothing.
 * @param input what was looked at, for the message
 */
export function strictError(
  input: string,
  { leftOut, oddities }: Pick<Inspection, 'leftOut' | 'oddities'>,
): UnreadableFile | undefined {
  if (leftOut.length + oddities.length === 0) return undefined;
  const lines = [
    ...leftOut.map(({ file, reason }) => onOneLine(`left out ${file}: ${reason}`)),
    ...oddities.map(({ note, files }) => onOneLine(`${note}: ${files.join(', ')}`)),
  ];
  return new UnreadableFile(input, 'only sound volumes (strict)', `\n  ${lines.join('\n  ')}`);
}
