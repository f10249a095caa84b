import type { Vec3 } from '../../vec3';
import { finiteRange } from '../../volume/intensity';
import { spans, type Trace } from '../base/layout';
import {
  type DisplayWindow,
  grayScale,
  orientationMarks,
  PLANNED_WIDTH,
  picture,
  pictureAxes,
  windowButtons,
  windowsFor,
} from '../base/panels';
import { planeNames, planesOf, sliceOf } from '../base/planes';
import type { ShownPlace, ShownVolume } from '../base/shown';
import { heading } from '../base/theme';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';
import { crosshair, sliceHeading, sliceStack, stackSliders } from './slices';

const GAP = 0.03;
const PLANE_BYTES = 700_000; // of JSON: with a comparison of 512 x 512 and Plotly a report stays below its 10 MB
const LARGEST = 256; // voxels a side: a larger slice shows every second, and so on, and stays some 100 kB

interface VolumeFigureOptions {
  readonly title?: string;
  /** The voxel [x, y, z] the three slices meet in; the default is the middle. */
  readonly at?: readonly [number, number, number];
}

/**
 * A volume as three linked slices in mm proportions and radiological orientation (see `Plane`): a slider below each
 * turns to another slice and moves the line that shows it in the other two; buttons set the intensity window of all.
 *
 * ```ts
 * pw.volumeFigure(await pw.readVolume('ct.nii.gz'), { at: [32, 32, 24] });
 * ```
 * @throws InvalidArgument if `at` lies outside the volume
 */
export function volumeFigure(volume: ShownVolume, options: VolumeFigureOptions = {}): Figure {
  const cuts = cutsOf(volume, options.at, LARGEST);
  const samples = cuts.map(({ plane, index, step }) => sliceOf(volume, plane, index, step));
  const known = windowsFor(samples);
  const summary = describeVolume(volume, finiteRange(volume.data), known.units);
  const { title = summary, at } = options;
  return slicesFigure(volume, { title, summary, at, ...known }, { largest: LARGEST, bytes: PLANE_BYTES });
}

interface SlicesLook {
  readonly title: string;
  readonly summary: string;
  readonly at?: Vec3 | undefined;
  readonly windows: readonly DisplayWindow[];
  readonly units: string;
}

/** Limits of the pictures: `largest` voxels a side, and most `bytes` of JSON for the slices of a plane. */
interface SlicesSize {
  readonly largest: number;
  readonly bytes: number;
}

/** The three slices with known windows, in pictures of a chosen size. */
export function slicesFigure(volume: ShownVolume, known: SlicesLook, { largest, bytes }: SlicesSize): Figure {
  const { title, summary, windows, units } = known;
  const cuts = cutsOf(volume, known.at, largest);
  const domains = spans(3, GAP);
  const drawing = new Drawing();
  drawing.annotations.push(
    ...cuts.map(({ plane, index }, i) => heading(sliceHeading(plane, index), domains[i]!, 1)),
    ...cuts.flatMap(({ plane }, i) => orientationMarks(i + 1, plane)),
  );
  const stacks = cuts.map(({ plane, index, step }, i) => {
    drawing.addAxes(pictureAxes(i + 1, plane, { x: domains[i]!, y: [0, 1] }));
    return sliceStack(volume, plane, index, { panel: i + 1, units, step, bytes });
  });
  drawing.data.push(...stacks.flatMap(({ traces }) => traces));

  const tallest = Math.max(...cuts.map(({ plane }) => (plane.rows * plane.aspect) / plane.columns));
  const height = Math.min(420, Math.max(150, domains[0]![1] * (PLANNED_WIDTH - 130) * tallest));
  const look = {
    margin: { l: 10, r: 70, t: 62, b: 104 },
    shapes: crosshair(stacks),
    sliders: stackSliders(stacks, domains),
    coloraxis: grayScale(windows[0]!, units, { x: 1.005, len: 1 }),
    updatemenus: windowButtons(windows, { y: 0, yanchor: 'top', pad: { t: 62 } }),
  };
  const everyVoxel = (): Trace[] =>
    cuts.map(({ plane, index }, i) => {
      const values = sliceOf(volume, plane, index);
      return picture(values, plane, index, { panel: i + 1, units, name: plane.name });
    });
  const isCoarser = cuts.some(({ step }) => step > 1);
  return drawing.figure(title, Math.round(height) + 166, look, summary, isCoarser ? everyVoxel : undefined);
}

/** The slices to show first: those through `at`, of every `step`-th row and column. */
function cutsOf(volume: ShownVolume, at: Vec3 | undefined, largest: number) {
  const planes = planesOf(volume);
  return planeNames.map((name) => {
    const plane = planes[name];
    const step = Math.ceil(Math.max(plane.rows, plane.columns) / largest);
    return { plane, step, index: at?.[plane.through] ?? Math.floor(plane.count / 2) };
  });
}

/** Size, spacing, range of the values and where they came from, in one line. */
export function describeVolume(
  { shape, spacing, source }: ShownPlace & Pick<ShownVolume, 'source'>,
  range: readonly number[] | undefined,
  units: string,
): string {
  const ends = range?.map((end) => Number(end.toPrecision(5)));
  return [
    nameOf(source),
    `${shape.join(' × ')} voxels`,
    `${spacing.map((mm) => Number(mm.toPrecision(4))).join(' × ')} mm`,
    ends ? `${ends.join(' to ')} ${units}`.trimEnd() : 'no finite value',
  ]
    .filter(Boolean)
    .join(' · ');
}

/** The last part of where a volume came from; empty if nobody knows. */
export function nameOf(source: string | undefined): string {
  // Of a prepared volume the folder has the name; its array is always called `image`.
  return (
    source
      ?.replace(/[\\/]image$/, '')
      .split(/[\\/]/)
      .at(-1) ?? ''
  );
}
