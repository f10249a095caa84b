import { writeTo } from '../../atomic-file';
import { UnreadableFile } from '../../errors';
import { makeFolder } from '../../make-folder';
import type { LongCall } from '../../progress';
import type { IntensitySpec } from '../intensity';
import { isUnfinished, storedIndex, writeRoot } from '../store/dataset-index';
import { removeUnfinished } from '../store/files';
import type { LeftOut, SplitName } from '../store/format';
import type { Size } from '../vec3';
import type { GivenView } from '../view';
import { lockStore } from './lock';
import { planPreparation } from './plan';
import { prepareVolumes } from './prepare-volumes';
import { dicomNote, lostIndex, notesOn, splitSummary } from './summary';
import { writeIndex } from './write-index';

export interface PrepareOptions extends LongCall {
  /** How values become the model's; default 'auto', by each volume. Voxels are stored as the files have them. */
  readonly intensity?: IntensitySpec;
  /** Resample (trilinear) to this voxel size in mm, or leave out to keep the files' own. */
  readonly spacing?: Size;
  /** Before resampling, filter axes that lose voxels with a gaussian, as scikit-image and MONAI do; default true. */
  readonly antialias?: boolean;
  /** Turn every volume to RAS+ first. */
  readonly canonical?: boolean;
  /** Which volume of each file, counted from 0: without it files of 4 and more dimensions are left out. */
  readonly index?: number;
  /** Which component of complex or colour voxels: real, imaginary, red, green, blue, alpha. */
  readonly channel?: string;
  /** A smaller view stored beside each volume, for a model that sees all of it at once. */
  readonly baseline?: GivenView;
  /** Parts of the patients for train, validation and test; default 0.8, 0.1, 0.1. */
  readonly split?: readonly [number, number, number];
  /** Draws the split; default 0. */
  readonly seed?: number;
  /** A pattern on a file's path within the input: its first group is the patient. By default see `patientByName`. */
  readonly patient?: string | RegExp;
  /** A table `file,patient[,split]`; only files in it are prepared. */
  readonly csv?: string;
  /** Paths of the files of the input that are wanted; default all. */
  readonly only?: readonly string[];
  /** Threads; each holds a whole volume or two. Default one a core, at most 4. */
  readonly workers?: number;
}

/** What `prepareDataset` did. */
export interface Prepared {
  readonly output: string;
  /** Names of the volumes that this call wrote, and of those that were there and unchanged. */
  readonly written: readonly string[];
  readonly kept: readonly string[];
  readonly leftOut: readonly LeftOut[];
  /** Volumes and patients on each side. */
  readonly split: Readonly<Record<SplitName, { readonly volumes: number; readonly patients: number }>>;
  /** What a person should look at. */
  readonly notes: readonly string[];
}

/**
 * Makes a dataset of NIfTI files that `openDataset` and training read patches from at random. Called again it
 * writes only what is new, changed or unfinished. A file that cannot be read is left out with its reason; a full disk
 * or another fault of the machine ends the call, and so may a signal: the volumes that are done stay, and the next call
 * goes on from there. The same files and options give the same bytes.
 *
 * ```ts
 * const { split, leftOut } = await pw.prepareDataset('ct.nii.gz', 'prepared');
 * console.log(split, leftOut); // patients on each side, and files that cannot be read
 * ```
 * @param input a folder, searched through, or NIfTI files
 * @param output the dataset's folder
 * @throws InvalidArgument for wrong options, before anything is written; UnreadableFile if no volume could be
 *   prepared; the system's error or NoMemory if the machine cannot go on; the signal's reason on abort
 */
export async function prepareDataset(
  input: string | readonly string[],
  output: string,
  options: PrepareOptions = {},
): Promise<Prepared> {
  options.signal?.throwIfAborted();
  const plan = planPreparation(input, options);
  writeTo('output', output, () => makeFolder(output));
  const unlock = await lockStore(output);
  try {
    removeUnfinished(output);
    const before = storedIndex(output);
    const isLost = before === undefined && isUnfinished(output);
    // First, so that one sees what the folder is to become if the call is ended.
    writeRoot(output);
    const outcome = await prepareVolumes(plan, output, options);
    if (outcome.records.size === 0) {
      const [first] = outcome.leftOut;
      throw new UnreadableFile(first!.file, 'at least one volume that can be read', first!.reason);
    }
    const { volumes, leftOut } = writeIndex(output, plan, outcome, before);
    const names = volumes.filter(({ added }) => !added).map(({ name }) => name);
    return {
      output,
      written: names.filter((name) => !outcome.kept.has(name)),
      kept: names.filter((name) => outcome.kept.has(name)),
      leftOut,
      split: splitSummary(volumes),
      notes: [
        ...dicomNote(plan.dicom),
        ...(isLost ? [lostIndex] : []),
        ...notesOn(volumes, before, output, options),
      ],
    };
  } catch (error) {
    // A thread that died cannot have removed what it wrote, and on a full disk that is in the way.
    removeUnfinished(output);
    throw error;
  } finally {
    unlock();
  }
}
