/** What a volume view stores, and what it leaves with the kernel for the pages that show it. */
import { cellHook } from '../../display-protocol';
import { InvalidArgument } from '../../errors';
import { voxelCount } from '../../vec3';
import type { ShownWindow, VolumesBundle } from '../../volumes-bundle';
import { hounsfieldWindows, windowsFor } from '../base/panels';
import { previewsOf } from './preview';
import { fineScaling, thinned } from './stored-numbers';
import type { Surveyed } from './survey';

/** A window by its name, or from black to white. */
export type ViewWindow = 'ctpa' | 'mediastinum' | 'lung' | 'bone' | 'full range' | readonly [number, number];

/** What the bundle says beside its voxels. */
export type Look = Omit<VolumesBundle, 'id' | 'volumes'>;

/**
 * The bundle of volumes of one place, and `id` if a kernel runs this code.
 *
 * @param bytes most bytes that all previews together take
 */
export function volumesBundle(
  volumes: readonly (Surveyed & { readonly name: string })[],
  look: Look,
  bytes: number,
): VolumesBundle {
  const [first] = volumes;
  const { shape, spacing, affine } = first!;
  const scalings = volumes.map((volume) => fineScaling(volume, look.units, volume.copy.voxels));
  const previews = previewsOf(volumes, scalings, look.units, bytes);
  const previewed = voxelCount(previews[0]!.shape);
  const id = cellHook('holdVolumes')?.(
    volumes.map(({ voxels }, i) => ({ shape, spacing, affine, voxels, previewed, ...scalings[i]! })),
  );
  return {
    ...(id !== undefined && { id }),
    ...look,
    volumes: volumes.map(({ name }, i) => ({ name, shape, affine, preview: previews[i]! })),
  };
}

/** The windows to offer for a volume, the wanted one first, and the units of its values. */
export function viewWindows({ low, high, copy }: Surveyed, wanted?: ViewWindow) {
  const found = windowsFor(low > high ? [] : [thinned(copy.voxels), Float32Array.of(low, high)]);
  const units: 'HU' | '' = found.units === 'HU' ? 'HU' : '';
  if (wanted === undefined) return { windows: found.windows, units };
  const first = windowOf(wanted, found.windows);
  const others = found.windows.filter(({ label }) => label !== first.label);
  return { windows: [first, ...others], units };
}

function windowOf(wanted: ViewWindow, found: readonly ShownWindow[]): ShownWindow {
  const known = [...found, ...hounsfieldWindows];
  const named = known.find(({ label }) => label === wanted);
  if (named) return named;
  const [low, high] = Array.isArray(wanted) ? (wanted as readonly number[]) : [];
  if (low !== undefined && high !== undefined && Number.isFinite(high - low) && low < high)
    return { label: `${low} to ${high}`, low, high };
  const names = [...new Set(known.map(({ label }) => label))];
  throw new InvalidArgument('window', 'a window, or two finite numbers [low, high]', wanted, names);
}
