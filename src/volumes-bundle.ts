/** What a volume view stores in a notebook and in a report. The page that draws it reads the same types. */

/** Our type for volumes that a page shows with its viewer. */
export const VOLUMES_MIME = 'application/vnd.patchwise.volumes+json';

/** The stored number of a voxel without a finite value (NaN or infinite). All other voxels store -32767 to 32767. */
export const NO_VALUE = -32768;

/** Three numbers along x, y and z. */
type Three = readonly [x: number, y: number, z: number];

/** One volume, or a reference with its candidates. */
export interface VolumesBundle {
  /** The kernel's name for this view; absent outside a kernel. */
  readonly id?: string;
  readonly title: string;
  readonly kind: 'volume' | 'comparison';
  /** A comparison has its reference first, then the candidates, all of one shape. */
  readonly volumes: readonly ShownLevelled[];
  readonly units: 'HU' | '';
  /** The first is the start. */
  readonly windows: readonly ShownWindow[];
  /** The voxel of the first volume, at full resolution, where the crosshair starts. */
  readonly at: Three;
  /** A comparison colours differences (candidate - reference) from minus this to plus this. */
  readonly differenceLimit?: number;
  /** A comparison clips both values to this range before it subtracts them, as its metrics do. */
  readonly clip?: readonly [low: number, high: number];
  /** A Plotly figure to show under the volumes: seam profiles and metrics. */
  readonly below?: { readonly data: readonly object[]; readonly layout: object };
}

/** A window of values from black to white. */
export interface ShownWindow {
  readonly label: string;
  readonly low: number;
  readonly high: number;
}

/** A volume by its name, with a copy that is small enough to store. */
export interface ShownLevelled {
  readonly name: string;
  /** At full resolution. */
  readonly shape: Three;
  /** From voxel (at full resolution) to world in mm (NIfTI's RAS), 16 numbers, row by row. */
  readonly affine: readonly number[];
  readonly preview: StoredLevel;
}

/** A copy of a volume, or of a region of it, at some resolution. */
export interface Level {
  /** The shape of this copy. A copy of full resolution of the whole volume has the volume's own. */
  readonly shape: Three;
  /** From voxel of this copy (the centres of its larger voxels) to world in mm, 16 numbers, row by row. */
  readonly affine: readonly number[];
  /**
   * `value = slope * stored + intercept`. Stored numbers are int16, little-endian, x fastest. `NO_VALUE` stands for a
   * voxel without a finite value.
   */
  readonly slope: number;
  readonly intercept: number;
}

/** A level with its voxels: base64 of gzip of the stored numbers. */
export interface StoredLevel extends Level {
  readonly data: string;
}

/**
 * A volume that a kernel holds, so that pages can ask for it at any resolution. `slope` and `intercept` are those of full
 * resolution.
 */
export interface HeldVolume extends Pick<Level, 'slope' | 'intercept'> {
  readonly shape: Three;
  /** In mm. */
  readonly spacing: Three;
  readonly affine: readonly number[];
  /** Voxels of the preview that its page has already. */
  readonly previewed: number;
  readonly voxels: HeldVoxels;
}

/** Voxels in memory, x fastest, or in an image on the disk that is read box by box. */
export type HeldVoxels = VoxelsInMemory | VoxelsOnDisk;
interface VoxelsInMemory {
  readonly data: Float32Array;
}
interface VoxelsOnDisk {
  readPatch(start: Three, size: Three): Promise<Float32Array>;
}
