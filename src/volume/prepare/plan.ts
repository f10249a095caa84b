import { resolve } from 'node:path';
import { InvalidArgument } from '../../errors';
import { checkShape, checkSpacing } from '../../vec3';
import { type IntensitySpec, resolveIntensity } from '../intensity';
import { formatVersion, type LeftOut, type VoxelSettings } from '../store/format';
import { readPatientTable } from './csv';
import { checkFractions, type Fractions, type Ownership, patientsOf } from './patients';
import type { PrepareOptions } from './prepare';
import { type Source, searchInput } from './sources';

/** All decisions that come before opening a file. */
export interface Preparation {
  readonly sources: readonly Source[];
  readonly owners: ReadonlyMap<Source, Ownership>;
  readonly settings: VoxelSettings;
  readonly intensity: IntensitySpec;
  readonly fractions: Fractions;
  readonly seed: number;
  /** Folders and links that could not be searched. */
  readonly leftOut: readonly LeftOut[];
  /** Folders of DICOM files. */
  readonly dicom: readonly string[];
}

/** Checks all options and finds the files. @throws InvalidArgument for a wrong option or input */
export function planPreparation(input: string | readonly string[], options: PrepareOptions): Preparation {
  const { patient, csv, baseline, intensity = 'auto', workers, seed = 0, index, channel } = options;
  if (patient !== undefined && csv !== undefined)
    throw new InvalidArgument('patient', 'either a pattern or a csv, not both', patient);
  if (workers !== undefined && !(Number.isInteger(workers) && workers > 0))
    throw new InvalidArgument('workers', 'a whole number above 0', workers);
  if (!Number.isSafeInteger(seed)) throw new InvalidArgument('seed', 'a whole number', seed);
  if (index !== undefined && !(Number.isInteger(index) && index >= 0))
    throw new InvalidArgument('index', 'a whole number, 0 or more', index);
  if (baseline && baseline.how !== 'resample' && baseline.how !== 'crop')
    throw new InvalidArgument('baseline.how', 'a way to make it', baseline.how, ['resample', 'crop']);
  const settings: VoxelSettings = {
    format: formatVersion,
    canonical: options.canonical ?? false,
    spacing: options.spacing ? checkSpacing('spacing', options.spacing) : null,
    baseline: baseline ? { shape: checkShape('baseline', baseline.shape), how: baseline.how } : null,
    antialias: options.antialias ?? true,
    ...(index !== undefined && { index }),
    ...(channel !== undefined && { channel }),
  };
  resolveIntensity(intensity, { data: new Float32Array(1) });
  const fractions = checkFractions(options.split ?? [0.8, 0.1, 0.1]);
  const table = csv === undefined ? undefined : readPatientTable(csv);
  const { sources, leftOut, dicom } = searchInput(input);
  const wanted = options.only && new Set(options.only.map((path) => resolve(path)));
  const chosen = wanted ? sources.filter(({ path }) => wanted.has(path)) : sources;
  if (chosen.length === 0) throw new InvalidArgument('only', 'at least one file of the input', options.only);
  const owners = patientsOf(chosen, { pattern: patient, table });
  return { sources: [...owners.keys()], owners, settings, intensity, fractions, seed, leftOut, dicom };
}
