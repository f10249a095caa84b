import { InvalidArgument } from '../../errors';
import { ORIGINAL } from '../../evaluate/compare';
import { axisNames } from '../../vec3';
import { clip, type Intensity } from '../../volume/intensity';
import { sliderLook } from '../base/controls';
import { encodePicture } from '../base/encode';
import type { Layout, Trace } from '../base/layout';
import { differenceLimit, measuredWindows, picture, unitsOf, windowsFor } from '../base/panels';
import { type Plane, sliceOf, spread } from '../base/planes';
import type { ShownComparison } from '../base/shown';
import { TEXT } from '../base/theme';

/** A figure by itself: whole pictures, and 2.5 MB of JSON for them all. */
const WHOLE: PictureSize = { largest: Number.POSITIVE_INFINITY, bytes: 2_500_000 };
const MOST_SLICES = 15;

export interface PageOptions {
  /** Which slices the slider offers; the default is as many as stay under a few MB, spread over the volume. */
  readonly slices?: readonly number[];
  /** Limit of the difference scale, in the volume's units; the default covers 99.5 % of the differences shown. */
  readonly difference?: number;
}

/** Limits of the pictures: `largest` voxels a side, and most `bytes` of JSON for all. A slider gets as many slices as fit. */
export interface PictureSize {
  readonly largest: number;
  readonly bytes: number;
}

type Pages = ReturnType<typeof pagesOf>;

/** The traces of every slice a plane's slider offers, each slice a page; all but the middle one start hidden. */
export function pagesOf(
  comparison: ShownComparison,
  plane: Plane,
  options: PageOptions,
  { largest, bytes } = WHOLE,
) {
  const { reference, candidates, intensity } = comparison;
  const step = Math.ceil(Math.max(plane.rows, plane.columns) / largest) || 1;
  const indices = options.slices ?? slicesThatFit(comparison, plane, step, bytes);
  if (indices.length === 0) throw new InvalidArgument('slices', 'at least one slice', '[]');
  const first = Math.floor(indices.length / 2);
  const found = windowsFor([sliceOf(reference, plane, indices[first]!)]);
  const units = unitsOf(intensity) || found.units;
  const windows = measuredWindows(intensity, found.windows);
  const differences: Float32Array[] = [];
  const pages = indices.map((index, page) => {
    const show = { units, visible: page === first, step };
    const base = sliceOf(reference, plane, index, step);
    const traces = [picture(base, plane, index, { ...show, panel: 1, name: ORIGINAL })];
    candidates.forEach(({ name, volume }, i) => {
      const values = sliceOf(volume, plane, index, step);
      const difference = differenceOf(values, base, intensity);
      differences.push(difference);
      const panel = candidates.length + i + 2;
      const look = { ...show, panel, name: `${name} − ${ORIGINAL}`, coloraxis: 'coloraxis2' };
      traces.push(
        picture(values, plane, index, { ...show, panel: i + 2, name }),
        picture(difference, plane, index, look),
      );
    });
    return { index, traces: traces as readonly Trace[] };
  });
  const limit = options.difference ?? differenceLimit(differences);
  return { plane, pages, first, windows, units, limit };
}

/** Which traces are seen while one page of a plane is, among the pages of all planes in their order. */
export function seenWith(all: readonly Pages[], plane: Plane, page: number): boolean[] {
  return all.flatMap((own) =>
    own.pages.flatMap(({ traces }, at) => traces.map(() => own.plane === plane && at === page)),
  );
}

/** Sliders of a plane: one that shows one of its pages and hides all others, or none if there is one page. */
export function sliders({ plane, pages, first }: Pages, all: readonly Pages[], y: number): Layout[] {
  if (pages.length < 2) return [];
  const prefix = `${plane.name} slice, ${axisNames[plane.through]} = `;
  const look = {
    ...sliderLook,
    active: first,
    x: 0,
    len: 1,
    y,
    pad: { t: 4, b: 0, l: 0, r: 0 },
    ticklen: 3,
    currentvalue: { prefix, font: { size: TEXT }, xanchor: 'left' },
    steps: pages.map(({ index }, page) => {
      const visible = seenWith(all, plane, page);
      return { label: String(index), method: 'restyle', args: [{ visible }, [...visible.keys()]] };
    }),
  };
  return [look];
}

/** candidate − original, both clipped to the intensity window as the metrics see them. */
export function differenceOf(
  candidate: Float32Array,
  reference: Float32Array,
  window: Intensity,
): Float32Array {
  const base = clip(reference, window);
  return clip(candidate, window).map((value, at) => value - base[at]!);
}

/** Slices spread over the volume, an odd number so that the middle one is among them. */
function slicesThatFit(
  { reference, candidates, intensity }: ShownComparison,
  plane: Plane,
  step: number,
  bytes: number,
): number[] {
  const middle = Math.floor(plane.count / 2);
  const bytesOf = (values: Float32Array): number =>
    encodePicture(values, Math.ceil(plane.rows / step), Math.ceil(plane.columns / step)).bdata.length;
  const base = sliceOf(reference, plane, middle, step);
  const pageBytes = candidates.reduce((sum, { volume }) => {
    const values = sliceOf(volume, plane, middle, step);
    return sum + bytesOf(values) + bytesOf(differenceOf(values, base, intensity));
  }, bytesOf(base));
  const count = Math.max(1, Math.min(MOST_SLICES, plane.count, Math.floor(bytes / pageBytes)));
  return spread(plane.count, count % 2 === 0 ? count - 1 : count);
}
