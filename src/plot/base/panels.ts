import { intensityPresets } from '../../volume/intensity';
import { encodePicture } from './encode';
import type { Layout, Trace } from './figure';
import { axisName, type Plane } from './planes';
import { buttonRow, grays, hairline } from './theme';

/** A part of the paper, in paper coordinates (0 to 1, y upwards). */
export interface Domain {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

/** Display limits in the volume's units. */
export interface DisplayWindow {
  readonly label: string;
  readonly low: number;
  readonly high: number;
}

/** `x3` and `xaxis3`: Plotly's two names of an axis; the first has no number. */
export function axisId(letter: 'x' | 'y', number: number): string {
  return number === 1 ? letter : `${letter}${number}`;
}
export function axisKey(letter: 'x' | 'y', number: number): string {
  return number === 1 ? `${letter}axis` : `${letter}axis${number}`;
}

export interface PictureOptions {
  readonly panel: number;
  readonly name: string;
  readonly units: string;
  readonly coloraxis?: string;
  readonly visible?: boolean;
  /** `values` are of every `step`-th row and column. */
  readonly step?: number;
}

/** A slice as a heatmap trace; hover reads the voxel and its value. */
export function picture(values: Float32Array, plane: Plane, index: number, options: PictureOptions): Trace {
  const [h, v, t] = [plane.horizontal, plane.vertical, plane.through].map((axis) =>
    axisName(axis as 0 | 1 | 2),
  );
  const { step = 1 } = options;
  return {
    type: 'heatmap',
    name: options.name,
    z: encodePicture(values, Math.ceil(plane.rows / step), Math.ceil(plane.columns / step)),
    ...(step > 1 ? { x0: 0, dx: step, y0: 0, dy: step } : {}),
    xaxis: axisId('x', options.panel),
    yaxis: axisId('y', options.panel),
    coloraxis: options.coloraxis ?? 'coloraxis',
    zsmooth: false,
    ...(options.visible === undefined ? {} : { visible: options.visible }),
    hovertemplate: `${h} %{x}, ${v} %{y}, ${t} ${index}<br><b>%{z:.5~g}</b> ${options.units}<extra>${options.name}</extra>`,
  };
}

/**
 * The two axes of a picture panel, in voxels, with pixels as tall as the spacing makes them. Panels with the same
 * `matches` zoom and pan as one.
 */
export function pictureAxes(panel: number, plane: Plane, domain: Domain, matches?: number): Layout {
  const shared = { showgrid: false, zeroline: false, ticks: '', showticklabels: false, constrain: 'domain' };
  const [x, y] = [axisId('x', panel), axisId('y', panel)];
  const follows = matches !== undefined && matches !== panel;
  return {
    [axisKey('x', panel)]: {
      ...shared,
      domain: domain.x,
      anchor: y,
      range: extent(plane.columns, plane.reversed.horizontal),
      ...(follows ? { matches: axisId('x', matches) } : {}),
    },
    [axisKey('y', panel)]: {
      ...shared,
      domain: domain.y,
      anchor: x,
      range: extent(plane.rows, plane.reversed.vertical),
      ...(follows ? { matches: axisId('y', matches) } : { scaleanchor: x, scaleratio: plane.aspect }),
      constraintoward: 'top',
    },
  };
}

/** The letters at the left and the top of a picture that say where the patient's right, front and head are. */
export function orientationMarks(panel: number, plane: Plane): Layout[] {
  const mark = {
    xref: `${axisId('x', panel)} domain`,
    yref: `${axisId('y', panel)} domain`,
    showarrow: false,
  };
  const font = { size: 11, color: '#ffffff' };
  const look = { font, bgcolor: 'rgba(0,0,0,0.45)', borderpad: 1 };
  return [
    { ...mark, ...look, text: plane.edges.left, x: 0, y: 0.5, xanchor: 'left', yanchor: 'middle' },
    { ...mark, ...look, text: plane.edges.top, x: 0.5, y: 1, xanchor: 'center', yanchor: 'top' },
  ];
}

/** The scale that all grey pictures of a figure share, so that one click sets the window of all. */
export function grayScale(window: DisplayWindow, units: string, colorbar: Layout): Layout {
  return {
    colorscale: grays,
    cmin: window.low,
    cmax: window.high,
    colorbar: { ...barLook(units), ...colorbar },
  };
}

export function barLook(title: string): Layout {
  return {
    title: { text: title, side: 'top', font: { size: 11 } },
    thickness: 9,
    outlinewidth: 0,
    tickfont: { size: 10 },
    ticks: '',
    tickcolor: hairline,
    xpad: 4,
  };
}

/** Buttons that set the window of the grey pictures; none if there is no choice. */
export function windowButtons(windows: readonly DisplayWindow[], place: Layout): Layout[] {
  if (windows.length < 2) return [];
  const buttons = windows.map(({ label, low, high }) => ({
    label,
    method: 'relayout',
    args: [{ 'coloraxis.cmin': low, 'coloraxis.cmax': high }],
  }));
  return [buttonRow(buttons, place)];
}

/**
 * The windows to offer for these values: the radiologist's if they look like Hounsfield units (some are below -200,
 * which no display value is), otherwise a robust range; and always the full range.
 */
export function windowsFor(samples: Float32Array): { windows: readonly DisplayWindow[]; units: string } {
  const sorted = Float32Array.from(samples.filter(Number.isFinite)).sort();
  const at = (fraction: number): number => sorted[Math.round(fraction * (sorted.length - 1))] ?? 0;
  const [low, high] = [at(0), at(1)];
  const all = { label: 'full range', low, high: high > low ? high : low + 1 };
  if (low < -200) return { windows: [...hounsfieldWindows, all], units: 'HU' };
  const [from, to] = [at(0.005), at(0.995)];
  const robust = { label: 'middle 99 %', low: from, high: to };
  const differs = to > from && (from > low || to < high);
  return { windows: differs ? [robust, all] : [all], units: '' };
}

const hounsfieldWindows: readonly DisplayWindow[] = (['ctpa', 'mediastinum', 'lung'] as const).map(
  (label) => {
    const [low, high] = intensityPresets[label];
    return { label, low, high };
  },
);

function extent(count: number, reversed: boolean): [number, number] {
  return reversed ? [count - 0.5, -0.5] : [-0.5, count - 0.5];
}
