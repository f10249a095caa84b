import { InvalidArgument } from '../../errors';
import { asVec3, eachAxis, type Vec3 } from '../../vec3';
import type { StoredImage } from '../../volume/store/stored-image';
import type { Volume } from '../../volume/volume';
import type { VolumesBundle } from '../../volumes-bundle';
import type { ShownPlace, ShownVolume } from '../base/shown';
import type { Figure } from '../figure/figure';
import { type ViewWindow, viewWindows, volumesBundle } from './bundle';
import { coarseAffine } from './coarsen';
import { describeVolume, nameOf, slicesFigure } from './figure';
import { type Surveyed, surveyStored, surveyVolume } from './survey';
import { withoutViewer } from './without-viewer';

export interface ViewOptions {
  /** The voxel [x, y, z] where the crosshair starts; default: the middle. */
  readonly at?: Vec3;
  /**
   * The window to start with: a name, or the values of black and white. Default: `ctpa` for Hounsfield units, else the
   * middle 99 % of the values.
   */
  readonly window?: ViewWindow;
  /** Default: the file's name, size, voxel size and range. */
  readonly title?: string;
}

/** Most bytes of the preview in the notebook; with a comparison and the viewer a report stays below 12 MB. */
const PREVIEW_BYTES = 1_200_000;
/** The slices that front ends without our viewer show, and those of a still picture. */
const FALLBACK = { largest: 128, bytes: 130_000 };
const STILL = { largest: 256, bytes: 0 };

/** A volume that shows itself in axial, coronal and sagittal planes with one crosshair. */
export class VolumeView {
  constructor(
    readonly surveyed: Surveyed,
    readonly options: ViewOptions,
  ) {}
}

/**
 * Shows a volume in axial, coronal and sagittal planes that one crosshair links: scroll through every slice, drag the
 * window, read positions and values. As the last value of a cell a volume shows itself in the same way.
 *
 * A saved notebook and a report hold a coarser copy, which names its voxel size: each voxel is the mean of a box of
 * voxels, without those that are not finite. A page that is connected to the kernel gets full resolution from it, as far
 * as the browser can draw it. The kernel sends the voxels as they are then: later changes of `volume.data` may show.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * pw.view(ct, { at: [30, 40, 20], window: 'lung' });
 * const { volumes } = await pw.openDataset('prepared');
 * await pw.view(volumes[0]!); // reads the dataset layer by layer: the volume need not fit into memory
 * ```
 * @throws InvalidArgument if `at` lies outside the volume, or `window` is no window; for a volume of a dataset also the
 * errors of `readPatch`
 */
export function view(volume: Volume, options?: ViewOptions): VolumeView;
export function view(volume: StoredImage, options?: ViewOptions): Promise<VolumeView>;
export function view(
  volume: Volume | StoredImage,
  options: ViewOptions = {},
): VolumeView | Promise<VolumeView> {
  checkAt(volume, options.at);
  return 'data' in volume
    ? viewOf(volume, options)
    : surveyStored(volume).then((surveyed) => surveyedView(surveyed, options));
}

/** The view of a volume in memory. */
export function viewOf(volume: ShownVolume, options: ViewOptions = {}): VolumeView {
  return surveyedView(surveyVolume(volume), options);
}

function surveyedView(surveyed: Surveyed, options: ViewOptions): VolumeView {
  viewWindows(surveyed, options.window); // a wrong name fails here, not when the view is shown
  return new VolumeView(surveyed, options);
}

/** A view as its page draws it, and as slices for front ends without our viewer. */
export function drawView({ surveyed, options }: VolumeView): {
  readonly bundle: VolumesBundle;
  readonly slices: Figure;
  readonly still: Figure;
} {
  const { shape, source, low, high } = surveyed;
  const { windows, units } = viewWindows(surveyed, options.window);
  const at = options.at ?? eachAxis((axis) => Math.floor(shape[axis] / 2));
  const summary = describeVolume(surveyed, low > high ? undefined : [low, high], units);
  const title = options.title ?? summary;
  const named = { ...surveyed, name: nameOf(source) || 'volume' };
  const bundle = volumesBundle([named], { title, kind: 'volume', units, windows, at }, PREVIEW_BYTES);
  const { volume, factors } = shownVoxels(surveyed);
  const cut = eachAxis((axis) => Math.floor(at[axis] / factors[axis]));
  const known = { title, summary, at: cut, windows, units };
  return {
    bundle,
    slices: withoutViewer(slicesFigure(volume, known, FALLBACK)),
    still: slicesFigure(volume, known, STILL),
  };
}

/** The volume itself if it is in memory, else its copy. */
function shownVoxels({ voxels, copy, ...place }: Surveyed): { volume: ShownVolume; factors: Vec3 } {
  if ('data' in voxels) return { volume: { ...place, data: voxels.data }, factors: [1, 1, 1] };
  const { factors, shape } = copy;
  const spacing = eachAxis((axis) => place.spacing[axis] * factors[axis]);
  const affine = coarseAffine(place.affine, factors);
  return { volume: { shape, spacing, affine, data: copy.voxels }, factors };
}

function checkAt({ shape }: Pick<ShownPlace, 'shape'>, at: Vec3 | undefined): void {
  const isInside = asVec3(at)?.every((n, axis) => Number.isInteger(n) && n >= 0 && n < shape[axis]!);
  if (at !== undefined && !(Array.isArray(at) && isInside))
    throw new InvalidArgument('at', `a voxel [x, y, z] of a volume of ${shape.join(' x ')}`, at);
}
