/** What a viewer shows of its volumes: everything that must outlive a WebGL context. */
import type { VolumesBundle } from '../../../src/volumes-bundle';
import { isSameSpace } from './drawing/box-image';
import type { Pan } from './drawing/places';
import type { Plane } from './drawing/planes';
import type { Point } from './voxels/affine';

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
  /** The plane that is compared, or that was scrolled or clicked last. */
  plane: Plane;
  /** Whether keys act on the 3D rendering, where there is one, and not on a plane beside it. */
  isRenderingActive: boolean;
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
  pan: Pan;
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
    isRenderingActive: false,
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
  const isInSameSpace = isSameSpace(before.volumes[0]!, next.volumes[0]!);
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

/** The picture that keys and zoom buttons act on. */
export function actedOn({ kind }: VolumesBundle, view: View): Plane | 'rendering' {
  const { arrangement, plane, isRenderingActive } = view;
  if (kind === 'comparison' || arrangement === 'planes') return plane;
  if (arrangement === 'rendering') return isRenderingActive ? 'rendering' : plane;
  return arrangement;
}
