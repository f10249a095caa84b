import { finiteRange } from '../../volume/intensity';
import { spans, type Trace } from '../base/layout';
import {
  grayScale,
  orientationMarks,
  PLANNED_WIDTH,
  picture,
  pictureAxes,
  windowButtons,
  windowsFor,
} from '../base/panels';
import { planeNames, planesOf, sliceOf } from '../base/planes';
import type { ShownVolume } from '../base/shown';
import { heading } from '../base/theme';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';
import { crosshair, sliceHeading, sliceStack, stackSliders } from './slices';

const GAP = 0.03;
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
  const planes = planesOf(volume);
  const at = options.at ?? volume.shape.map((n) => Math.floor(n / 2));
  const cuts = planeNames.map((name) => {
    const plane = planes[name];
    const step = Math.ceil(Math.max(plane.rows, plane.columns) / LARGEST);
    return { plane, step, index: at[plane.through]! };
  });
  const samples = cuts.map(({ plane, index, step }) => sliceOf(volume, plane, index, step));
  const { windows, units } = windowsFor(samples);
  const domains = spans(3, GAP);
  const drawing = new Drawing();
  drawing.annotations.push(
    ...cuts.map(({ plane, index }, i) => heading(sliceHeading(plane, index), domains[i]!, 1)),
    ...cuts.flatMap(({ plane }, i) => orientationMarks(i + 1, plane)),
  );
  const stacks = cuts.map(({ plane, index, step }, i) => {
    drawing.addAxes(pictureAxes(i + 1, plane, { x: domains[i]!, y: [0, 1] }));
    return sliceStack(volume, plane, index, { panel: i + 1, units, step });
  });
  drawing.data.push(...stacks.flatMap(({ traces }) => traces));

  const tallest = Math.max(...cuts.map(({ plane }) => (plane.rows * plane.aspect) / plane.columns));
  const height = Math.min(420, Math.max(150, domains[0]![1] * (PLANNED_WIDTH - 130) * tallest));
  const header = describeVolume(volume, units);
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
  const title = options.title ?? header;
  return drawing.figure(title, Math.round(height) + 166, look, header, isCoarser ? everyVoxel : undefined);
}

/** Size, spacing, range of the values and where they came from, in one line. */
function describeVolume(volume: ShownVolume, units: string): string {
  const range = finiteRange(volume.data)?.map((end) => Number(end.toPrecision(5)));
  // Of a prepared volume the folder has the name; its array is always called `image`.
  const path = volume.source?.replace(/[\\/]image$/, '') ?? '';
  return [
    path.split(/[\\/]/).at(-1),
    `${volume.shape.join(' × ')} voxels`,
    `${volume.spacing.map((mm) => Number(mm.toPrecision(4))).join(' × ')} mm`,
    range ? `${range.join(' to ')} ${units}`.trimEnd() : 'no finite value',
  ]
    .filter(Boolean)
    .join(' · ');
}
