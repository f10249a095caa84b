import { Figure, type Layout } from '../base/figure';
import { grayScale, orientationMarks, pictureAxes, windowButtons, windowsFor } from '../base/panels';
import { planeNames, planesOf, sliceOf } from '../base/planes';
import type { ShownVolume } from '../base/shown';
import { baseLayout, heading } from '../base/theme';
import { crosshair, sliceHeading, sliceStack, stackSliders } from './slices';

const WIDTH = 900; // what the heights are made for; the figure itself follows its cell
const GAP = 0.03;
const LARGEST = 256; // voxels a side: a larger slice shows every second, and so on, and stays some 100 kB

export interface VolumeFigureOptions {
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
  const steps = planeNames.map((name) =>
    Math.ceil(Math.max(planes[name].rows, planes[name].columns) / LARGEST),
  );
  const samples = planeNames.map((name, i) =>
    sliceOf(volume, planes[name], at[planes[name].through]!, steps[i]!),
  );
  const { windows, units } = windowsFor(concatenate(samples));

  const axes: Layout[] = [];
  const headings: Layout[] = [];
  const marks: Layout[] = [];
  const width = (1 - 2 * GAP) / 3;
  const domains = planeNames.map((_, i) => [i * (width + GAP), i * (width + GAP) + width] as const);
  const tallest = Math.max(
    ...planeNames.map((name) => (planes[name].rows * planes[name].aspect) / planes[name].columns),
  );
  const stacks = planeNames.map((name, i) => {
    const plane = planes[name];
    const [x, panel, index] = [domains[i]!, i + 1, at[plane.through]!];
    axes.push(pictureAxes(panel, plane, { x, y: [0, 1] }));
    headings.push(heading(sliceHeading(plane, index), (x[0] + x[1]) / 2, 1));
    marks.push(...orientationMarks(panel, plane));
    return sliceStack(volume, plane, index, { panel, units, step: steps[i]! });
  });

  const height = Math.min(420, Math.max(150, width * (WIDTH - 130) * tallest));
  const header = describeVolume(volume, units);
  const layout = Object.assign(baseLayout(options.title ?? header, Math.round(height) + 166), ...axes, {
    margin: { l: 10, r: 70, t: 62, b: 104 },
    annotations: [...headings, ...marks],
    shapes: crosshair(stacks),
    sliders: stackSliders(stacks, domains),
    coloraxis: grayScale(windows[0]!, units, { x: 1.005, len: 1 }),
    updatemenus: windowButtons(windows, { x: 0, xanchor: 'left', y: 0, yanchor: 'top', pad: { t: 62 } }),
  });
  return new Figure(
    stacks.flatMap(({ traces }) => traces),
    layout,
    header,
  );
}

/** Size, spacing, range of the values and where they came from, in one line. */
export function describeVolume(volume: ShownVolume, units: string): string {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const value of volume.data) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  // Of a prepared volume the folder has the name; its array is always called `image`.
  const name = volume.source
    ?.replace(/[\\/]image$/, '')
    .split(/[\\/]/)
    .at(-1);
  return [
    ...(name ? [name] : []),
    `${volume.shape.join(' × ')} voxels`,
    `${volume.spacing.map((mm) => Number(mm.toPrecision(4))).join(' × ')} mm`,
    `${Number(min.toPrecision(5))} to ${Number(max.toPrecision(5))}${units ? ` ${units}` : ''}`,
  ].join(' · ');
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
