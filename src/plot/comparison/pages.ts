import { InvalidArgument } from '../../errors';
import type { Intensity } from '../../volume/intensity';
import { encodePicture } from '../base/encode';
import type { Layout, Trace } from '../base/figure';
import { type DisplayWindow, picture, windowsFor } from '../base/panels';
import { axisName, type Plane, sliceOf } from '../base/planes';
import type { ShownComparison } from '../base/shown';
import { hairline, ink, wash } from '../base/theme';

/** Most bytes of JSON that the pictures of one figure take; a slider gets as many slices as fit. */
const PICTURE_BYTES = 2_500_000;
const MOST_SLICES = 15;

export interface PageOptions {
  /** Which slices the slider offers; the default is as many as stay under a few MB, spread over the volume. */
  readonly slices?: readonly number[];
  /** Limit of the difference scale, in the volume's units; the default covers 99.5 % of the differences shown. */
  readonly difference?: number;
}

/** What one stop of the slider shows. */
export interface Page {
  readonly index: number;
  readonly traces: readonly Trace[];
}
export interface Pages {
  readonly pages: readonly Page[];
  readonly first: number;
  readonly windows: readonly DisplayWindow[];
  readonly units: string;
  readonly limit: number;
}

/** The traces of every slice the slider offers; all but the middle one start hidden. */
export function pagesOf(comparison: ShownComparison, plane: Plane, options: PageOptions): Pages {
  const { reference, candidates, intensity } = comparison;
  const indices = options.slices ?? slicesThatFit(comparison, plane);
  if (indices.length === 0) throw new InvalidArgument('slices', 'at least one slice', '[]');
  const first = Math.floor(indices.length / 2);
  const middle = sliceOf(reference, plane, indices[first]!);
  const found = windowsFor(middle);
  const units = intensity.units === 'HU' ? 'HU' : found.units;
  const windows = [
    { label: intensity.name.split(' (')[0]!, low: intensity.low, high: intensity.high },
    ...found.windows.filter(({ low, high }) => low !== intensity.low || high !== intensity.high),
  ];
  const columns = candidates.length + 1;
  const differences: Float32Array[] = [];
  const pages = indices.map((index, page): Page => {
    const show = { units, visible: page === first };
    const base = sliceOf(reference, plane, index);
    const traces = [picture(base, plane, index, { ...show, panel: 1, name: 'reference' })];
    candidates.forEach(({ name, volume }, i) => {
      const values = sliceOf(volume, plane, index);
      const difference = differenceOf(values, base, intensity);
      differences.push(difference);
      traces.push(picture(values, plane, index, { ...show, panel: i + 2, name }));
      const panel = columns + i + 1;
      traces.push(
        picture(difference, plane, index, {
          ...show,
          panel,
          name: `${name} - reference`,
          coloraxis: 'coloraxis2',
        }),
      );
    });
    return { index, traces };
  });
  return { pages, first, windows, units, limit: options.difference ?? symmetricLimit(differences) };
}

/** A slider that shows one page and hides the others; `pictures` counts the traces of all pages. */
export function slider(pages: Pages, plane: Plane, pictures: number, y: number): Layout {
  const perPage = pictures / pages.pages.length;
  const indices = Array.from({ length: pictures }, (_, i) => i);
  return {
    active: pages.first,
    x: 0,
    len: 1,
    y,
    yanchor: 'top',
    pad: { t: 4, b: 0, l: 0, r: 0 },
    currentvalue: {
      prefix: `${plane.name} slice, ${axisName(plane.through)} = `,
      font: { size: 12 },
      xanchor: 'left',
    },
    font: { size: 10, color: ink },
    bgcolor: wash,
    activebgcolor: ink,
    bordercolor: hairline,
    tickcolor: hairline,
    ticklen: 3,
    minorticklen: 0,
    steps: pages.pages.map(({ index }, page) => ({
      label: String(index),
      method: 'restyle',
      args: [{ visible: indices.map((trace) => Math.floor(trace / perPage) === page) }, indices],
    })),
  };
}

/** candidate - reference, both clipped to the intensity window as the metrics see them. */
function differenceOf(
  candidate: Float32Array,
  reference: Float32Array,
  { low, high }: Intensity,
): Float32Array {
  const clip = (value: number): number => Math.min(high, Math.max(low, value));
  return candidate.map((value, at) => clip(value) - clip(reference[at]!));
}

/** Slices spread over the volume, an odd number so that the middle one is among them. */
function slicesThatFit({ reference, candidates, intensity }: ShownComparison, plane: Plane): number[] {
  const middle = Math.floor(plane.count / 2);
  const bytesOf = (values: Float32Array): number =>
    encodePicture(values, plane.rows, plane.columns).bdata.length;
  const base = sliceOf(reference, plane, middle);
  const pageBytes = candidates.reduce((sum, { volume }) => {
    const values = sliceOf(volume, plane, middle);
    return sum + bytesOf(values) + bytesOf(differenceOf(values, base, intensity));
  }, bytesOf(base));
  const count = Math.max(1, Math.min(MOST_SLICES, plane.count, Math.floor(PICTURE_BYTES / pageBytes)));
  return spread(plane.count, count % 2 === 0 ? count - 1 : count);
}

function spread(count: number, n: number): number[] {
  return Array.from({ length: n }, (_, i) => Math.floor(((i + 0.5) * count) / n));
}

/** The 99.5th percentile of the absolute differences, so that a few outliers don't hide the rest. */
function symmetricLimit(differences: readonly Float32Array[]): number {
  const sizes = Float32Array.from(differences.flatMap((part) => Array.from(part, Math.abs))).sort();
  const limit = sizes[Math.floor(0.995 * (sizes.length - 1))] ?? 0;
  return limit > 0 && Number.isFinite(limit) ? Number(limit.toPrecision(2)) : 1;
}
