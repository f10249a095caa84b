/** A comparison as volumes side by side under one crosshair and one window, with its seams and metrics below them. */
import { ORIGINAL } from '../../evaluate/compare';
import { eachAxis } from '../../vec3';
import type { VolumesBundle } from '../../volumes-bundle';
import { differenceLimit, measuredWindows } from '../base/panels';
import { planeNames, planesOf, sliceOf } from '../base/planes';
import type { ShownComparison, ShownVolume } from '../base/shown';
import { heading, legendAbove, SMALL } from '../base/theme';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';
import { type Look, viewWindows, volumesBundle } from '../volume/bundle';
import { surveyVolume } from '../volume/survey';
import { withoutViewer } from '../volume/without-viewer';
import { checkComparison, comparisonPictures, comparisonTitle } from './figure';
import { differenceOf } from './pages';
import { addSeams, comparisonTable, SEAMS_ABOVE } from './seams';

/**
 * Most bytes of all previews in the notebook. Three are then as fine as the view of one volume, and a report with both and
 * the viewer stays below 10 MB.
 */
const PREVIEW_BYTES = 3_600_000;
/** The pictures that front ends without our viewer show, and those of a still picture. */
const FALLBACK = { largest: 90, bytes: 1_000_000, planes: 'all' } as const;
const STILL = { largest: 256, bytes: 0 };

/** @throws InvalidArgument if there is no candidate, or the shape of one is not the reference's */
export function drawComparison(comparison: ShownComparison): {
  readonly bundle: VolumesBundle;
  readonly slices: Figure;
  readonly still: Figure;
} {
  checkComparison(comparison);
  const { reference, candidates, intensity } = comparison;
  const named = [{ name: ORIGINAL, volume: reference }, ...candidates];
  const { shape, spacing, affine } = reference;
  // A candidate's own affine says nothing: its voxels are compared with those of the reference at the same place.
  const volumes = named.map(({ name, volume }) => ({
    ...surveyVolume({ ...volume, shape, spacing, affine }),
    voxels: volume,
    name,
  }));
  const found = viewWindows(volumes[0]!);
  const units = intensity.units === 'HU' ? 'HU' : found.units;
  const look: Look = {
    title: comparisonTitle(comparison),
    kind: 'comparison',
    units,
    windows: measuredWindows(intensity, found.windows),
    at: eachAxis((axis) => Math.floor(shape[axis] / 2)),
    differenceLimit: differenceLimit(
      candidates.flatMap(({ volume }) => middleDifferences(comparison, volume)),
    ),
    clip: [intensity.low, intensity.high],
    below: measuresFigure(comparison).toJSON(),
  };
  const bundle = volumesBundle(volumes, look, PREVIEW_BYTES);
  return {
    bundle,
    slices: withoutViewer(comparisonPictures(comparison, {}, FALLBACK)),
    still: comparisonPictures(comparison, {}, STILL),
  };
}

/** The differences of a candidate in the middle slices of the three planes. */
function middleDifferences({ reference, intensity }: ShownComparison, volume: ShownVolume): Float32Array[] {
  const planes = planesOf(reference);
  return planeNames.map((name) => {
    const plane = planes[name];
    const middle = Math.floor(plane.count / 2);
    const slice = (from: ShownVolume): Float32Array => sliceOf(from, plane, middle);
    return differenceOf(slice(volume), slice(reference), intensity);
  });
}

/** The seam profiles, if there are any, the table of metrics below them, and what a reader must know of it. */
export function measuresFigure(comparison: ShownComparison): Figure {
  const { seamProfiles, metrics, intensity, notes = [] } = comparison;
  const drawing = new Drawing();
  const seams = seamProfiles.length > 0 ? SEAMS : { plot: 0, below: 0 };
  const words = NOTE * notes.length;
  const table = 64 + 24 * metrics.length + words; // a heading of two lines
  const top = seams.plot > 0 ? SEAMS_ABOVE : 8;
  const inner = seams.plot + seams.below + table;
  const share = table / inner;
  if (seams.plot > 0) addSeams(drawing, seamProfiles, 1, [1 - seams.plot / inner, 1], intensity.units);
  drawing.data.push(comparisonTable(comparison).toTrace({ x: [0, 1], y: [words / inner, share] }));
  if (notes.length > 0) {
    const below = { yanchor: 'top', align: 'left', font: { size: SMALL } };
    drawing.annotations.push({ ...heading(notes.join('<br>'), 0, words / inner), ...below });
  }
  const look = { margin: { l: 56, r: 16, t: top, b: 8 }, legend: legendAbove(inner) };
  return drawing.figure('', Math.round(inner + top + 8), look, comparisonTable(comparison).toText());
}

/** Pixels of a line of notes. */
const NOTE = 20;
/** Pixels of the profiles, and of their axis labels. */
const SEAMS = { plot: 190, below: 52 };
