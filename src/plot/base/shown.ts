import type { NamedSeamProfile } from '../../evaluate/compare';
import type { MetricRow } from '../../evaluate/metrics';
import type { SweepRow } from '../../evaluate/sweep';
import type { Grid } from '../../patch/grid';
import type { MetricRecord } from '../../train/record/metrics-log';
import type { RunStatus } from '../../train/record/status';
import type { Vec3 } from '../../vec3';
import type { Intensity } from '../../volume/intensity';
import type { StoredVolume } from '../../volume/store/stored-image';

/*
 * What the figures need of the things they show: shapes, not classes, because a notebook may load another copy of the
 * package than the kernel did.
 */

export interface ShownVolume {
  readonly shape: Vec3;
  readonly data: Float32Array;
  readonly spacing: Vec3;
  readonly affine: readonly number[];
  readonly source?: string | undefined;
}

/** The size of a volume and its place in the patient. */
export type ShownPlace = Pick<ShownVolume, 'shape' | 'spacing' | 'affine'>;

/** A volume of a prepared dataset: its voxels stay on the disk. */
export type ShownStoredVolume = Pick<
  StoredVolume,
  'name' | 'patient' | 'split' | 'shape' | 'spacing' | 'type' | 'range' | 'intensity' | 'source'
> & { readonly baseline?: { readonly shape: Vec3 } };

export interface ShownDataset {
  readonly dir: string;
  readonly volumes: readonly ShownStoredVolume[];
  readonly leftOut: readonly { readonly file: string; readonly reason: string }[];
}

export type ShownRecord = Pick<MetricRecord, 'step' | 'split'> & Partial<MetricRecord>;

export type ShownStatus = Partial<Pick<RunStatus, 'step' | 'steps' | 'backend' | 'idle' | 'error'>> & {
  readonly state: string;
};

export interface ShownRun {
  readonly id: string;
  readonly dir: string;
}

export interface ShownComparison {
  readonly reference: ShownVolume;
  readonly candidates: readonly { readonly name: string; readonly volume: ShownVolume }[];
  readonly metrics: readonly MetricRow[];
  readonly intensity: Intensity;
  readonly grid?: Grid | undefined;
  readonly seamProfiles: readonly NamedSeamProfile[];
  readonly notes?: readonly string[];
}

export type ShownSweepRow = Pick<SweepRow, 'name' | 'overlap'> & Partial<SweepRow>;
