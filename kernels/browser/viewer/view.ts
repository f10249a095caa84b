/** What a viewer shows of its volumes: everything that must outlive a WebGL context. */
import type { VolumesBundle } from '../../../src/volumes-bundle';
import type { Point } from './affine';
import type { Plane } from './planes';

export type Arrangement = 'planes' | Plane | 'rendering';
export type Comparing = 'side' | 'flicker' | 'swipe';

export interface View {
  /** The voxel of the crosshair, at full resolution. */
  at: Point;
  window: readonly [low: number, high: number];
  /** The name of the window; undefined if it was set by hand. */
  preset: string | undefined;
  /** Of one volume: three planes, one, or the 3D rendering. */
  arrangement: Arrangement;
  /** The plane that is compared, or that keys scroll. */
  plane: Plane;
  comparing: Comparing;
  /** The two volumes of flicker and swipe. */
  pair: readonly [a: number, b: number];
  /** Which of the pair flicker shows. */
  showsSecond: boolean;
  /** Where swipe divides the picture, from 0 (left) to 1. */
  divider: number;
  hasOverlay: boolean;
  differenceOpacity: number;
  differenceLimit: number;
  /** Shift in mm to the right, anterior and superior, and zoom. */
  pan: [right: number, anterior: number, superior: number, zoom: number];
  turn: { azimuth: number; elevation: number; zoom: number };
}

export function firstView({ at, windows, kind, volumes, differenceLimit }: VolumesBundle): View {
  const [first] = windows;
  return {
    at,
    window: first ? [first.low, first.high] : [0, 1],
    preset: first?.label,
    arrangement: 'planes',
    plane: 'axial',
    comparing: 'side',
    pair: volumes.length > 2 ? [1, 2] : [0, Math.min(1, volumes.length - 1)], // two candidates, if there are
    showsSecond: false,
    divider: 0.5,
    hasOverlay: false,
    differenceOpacity: 0.8,
    differenceLimit: differenceLimit ?? (kind === 'comparison' ? 100 : 1),
    pan: [0, 0, 0, 1],
    turn: { azimuth: 180, elevation: 10, zoom: 1 },
  };
}

/**
 * What the reader has chosen, for a bundle that takes the place of another: an answer of `interact` follows the one before.
 * Where the new bundle itself shows another place than the one before did, it has its way.
 */
export function viewAfter(view: View, before: VolumesBundle, next: VolumesBundle): View {
  const [was, first] = [firstView(before), firstView(next)];
  const isInSameSpace = isSameSpace(before, next);
  const named = next.windows.find(({ label }) => label === view.preset);
  const isByHand = view.preset === undefined && before.units === next.units;
  return {
    ...view,
    at: isInSameSpace && String(was.at) === String(first.at) ? view.at : first.at,
    pan: isInSameSpace ? view.pan : first.pan,
    ...(named && { window: [named.low, named.high] as const }),
    ...(!named && !isByHand && { window: first.window, preset: first.preset }),
    pair: before.volumes.length === next.volumes.length ? view.pair : first.pair,
    differenceLimit:
      view.differenceLimit === was.differenceLimit ? first.differenceLimit : view.differenceLimit,
  };
}

/** Whether the volumes of two bundles fill the same box of the world, by the same voxels. */
export function isSameSpace(one: VolumesBundle, other: VolumesBundle): boolean {
  const [a, b] = [one.volumes[0]!, other.volumes[0]!];
  return String([a.shape, a.affine]) === String([b.shape, b.affine]);
}
