import type { DistanceRow } from '../evaluate/border-distance';
import type { ComparisonRow, NamedSeamProfile } from '../evaluate/compare';
import type { RunComparison } from '../evaluate/compare-runs';
import type { SweepRow } from '../evaluate/sweep';
import type { TrainingFigures } from '../evaluate/training-figures';
import type { PatchRow } from '../evaluate/worst-patches';
import type { Grid } from '../patch/grid';
import type { LatestSlices } from '../train/record/latest-slices';
import type { MetricRecord } from '../train/record/metrics-log';
import type { Intensity } from '../volume/intensity';
import type { SplitName } from '../volume/store/format';
import type { Vec3 } from '../volume/vec3';

/*
 * What the figures need of the things they show. Values are known by their shape, not by their class: a notebook's
 * own copy of the package and the kernel's copy have different classes and the same shapes.
 */

export interface ShownVolume {
  readonly shape: Vec3;
  readonly data: Float32Array;
  readonly spacing: Vec3;
  readonly affine: readonly number[];
  readonly source?: string | undefined;
}

/** A volume of a prepared dataset: its voxels stay on the disk. */
export interface ShownStoredVolume {
  readonly name: string;
  readonly patient: string;
  readonly split: SplitName;
  readonly shape: Vec3;
  readonly spacing: Vec3;
  readonly type: string;
  readonly range: readonly [number, number];
  readonly intensity: Intensity;
  readonly source: string;
  readonly baseline?: { readonly shape: Vec3 };
}

export interface ShownDataset {
  readonly dir: string;
  readonly volumes: readonly ShownStoredVolume[];
  readonly leftOut: readonly { readonly file: string; readonly reason: string }[];
}

export type ShownRecord = Pick<MetricRecord, 'step' | 'split'> & Partial<MetricRecord>;

export type ShownSlices = LatestSlices;

export interface ShownStatus {
  readonly state: string;
  readonly step?: number;
  readonly steps?: number;
  readonly backend?: string;
  readonly error?: unknown;
}

export interface ShownRun {
  readonly id: string;
  readonly dir: string;
}

export type ShownMetrics = Pick<ComparisonRow, 'name'> & Partial<ComparisonRow>;
export type SeamProfile = NamedSeamProfile;

export interface ShownComparison {
  readonly reference: ShownVolume;
  readonly candidates: readonly { readonly name: string; readonly volume: ShownVolume }[];
  readonly metrics: readonly ShownMetrics[];
  readonly intensity: Intensity;
  readonly grid?: Grid | undefined;
  readonly seamProfiles: readonly SeamProfile[];
}

export type ShownSweepRow = Pick<SweepRow, 'name' | 'overlap'> & Partial<SweepRow>;
export type ShownDistanceRow = DistanceRow;
export type ShownPatchRow = PatchRow;
export type ShownTraining = TrainingFigures;
export type ShownRunComparison = RunComparison;

/** Runs beside one another: what `compareRuns` gives. */
export function isRunComparison(value: unknown): value is ShownRunComparison {
  return has(value, 'runs', 'rows', 'means', 'differences', 'notes');
}

export function isVolume(value: unknown): value is ShownVolume {
  return has(value, 'shape', 'data', 'spacing', 'affine') && value.data instanceof Float32Array;
}

export function isStoredVolume(value: unknown): value is ShownStoredVolume {
  return has(value, 'name', 'patient', 'split', 'shape', 'spacing', 'type', 'range', 'intensity', 'source');
}

export function isDataset(value: unknown): value is ShownDataset {
  return has(value, 'dir', 'volumes', 'leftOut') && Array.isArray(value.volumes);
}

export function isGrid(value: unknown): value is Grid {
  return has(value, 'volume', 'patch', 'stride', 'counts', 'starts', 'patches', 'overlap');
}

export function isComparison(value: unknown): value is ShownComparison {
  return has(value, 'reference', 'candidates', 'metrics', 'seamProfiles') && isVolume(value.reference);
}

export function isRun(value: unknown): value is ShownRun {
  return has(value, 'id', 'dir', 'metrics', 'status') && typeof value.metrics === 'function';
}

/** A live view: what `run.live()` and `live([a, b])` give. */
export function isLiveView(value: unknown): value is { readonly runs: readonly ShownRun[] } {
  return has(value, 'runs') && Array.isArray(value.runs) && value.runs.length > 0 && value.runs.every(isRun);
}

/** The runs that a live view or a run itself shows; undefined for every other value. */
export function shownRuns(value: unknown): readonly ShownRun[] | undefined {
  if (isLiveView(value)) return value.runs;
  return isRun(value) ? [value] : undefined;
}

function has<K extends string>(value: unknown, ...keys: K[]): value is Record<K, unknown> {
  return typeof value === 'object' && value !== null && keys.every((key) => key in value);
}
