import { Figure, type Layout, type Trace } from './figure';
import { grayScale, orientationMarks, picture, pictureAxes, windowButtons, windowsFor } from './panels';
import type { ShownVolume } from './shown';
import { axisName, planeNames, planesOf, sliceOf } from './slices';
import { baseLayout, heading } from './theme';

const WIDTH = 900; // what the heights are made for; the figure itself follows its cell
const GAP = 0.03;
const LARGEST = 400; // voxels a side: a larger slice shows every second, and so on, and stays a few 100 kB

export interface VolumeFigureOptions {
  readonly title?: string;
  /** The voxel [x, y, z] the three slices meet in; the default is the middle. */
  readonly at?: readonly [number, number, number];
}

/**
 * A volume as three slices through one voxel, in mm proportions and radiological orientation (see `Plane`), with
 * buttons for the intensity window.
 *
 * @throws InvalidArgument where `at` lies outside the volume
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

  const data: Trace[] = [];
  const axes: Layout[] = [];
  const annotations: Layout[] = [];
  const width = (1 - 2 * GAP) / 3;
  const tallest = Math.max(
    ...planeNames.map((name) => (planes[name].rows * planes[name].aspect) / planes[name].columns),
  );
  planeNames.forEach((name, i) => {
    const plane = planes[name];
    const panel = i + 1;
    const index = at[plane.through]!;
    const x = [i * (width + GAP), i * (width + GAP) + width] as const;
    data.push(picture(samples[i]!, plane, index, { panel, name, units, step: steps[i]! }));
    axes.push(pictureAxes(panel, plane, { x, y: [0, 1] }));
    annotations.push(heading(`${name} · ${axisName(plane.through)} = ${index}`, (x[0] + x[1]) / 2, 1));
    annotations.push(...orientationMarks(panel, plane));
  });

  const height = Math.min(420, Math.max(150, width * (WIDTH - 130) * tallest));
  const header = describeVolume(volume, units);
  const layout = Object.assign(baseLayout(options.title ?? header, Math.round(height) + 124), ...axes, {
    margin: { l: 10, r: 70, t: 62, b: 62 },
    annotations,
    coloraxis: grayScale(windows[0]!, units, { x: 1.005, len: 1 }),
    updatemenus: windowButtons(windows, { x: 0, xanchor: 'left', y: 0, yanchor: 'top', pad: { t: 18 } }),
  });
  return new Figure(data, layout, header);
}

/** Size, spacing, range of the values and where they came from, in one line. */
export function describeVolume(volume: ShownVolume, units: string): string {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const value of volume.data) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const name = volume.source?.split(/[\\/]/).at(-1);
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
