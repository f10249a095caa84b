import { axisNames } from '../../vec3';
import { type Intensity, intensityPresets } from '../../volume/intensity';
import { choiceButtons } from './controls';
import { encodePicture } from './encode';
import { axesOf, axisOptions, type Layout, type Place, type Trace } from './layout';
import type { Plane } from './planes';
import { diverging, grays, hairline, SMALL } from './theme';

/** Width in pixels that figures of pictures plan their heights for. The figure itself follows its cell. */
export const PLANNED_WIDTH = 900;

/** Display limits in the volume's units. */
export interface DisplayWindow {
  readonly label: string;
  readonly low: number;
  readonly high: number;
}

interface PictureOptions {
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
  const [h, v, t] = [axisNames[plane.horizontal], axisNames[plane.vertical], axisNames[plane.through]];
  const { panel, name, units, coloraxis = 'coloraxis', visible, step = 1 } = options;
  return {
    type: 'heatmap',
    name,
    z: encodePicture(values, Math.ceil(plane.rows / step), Math.ceil(plane.columns / step)),
    ...(step > 1 && { x0: 0, dx: step, y0: 0, dy: step }),
    ...axesOf(panel),
    coloraxis,
    zsmooth: false,
    ...(visible !== undefined && { visible }),
    hovertemplate: `${h} %{x}, ${v} %{y}, ${t} ${index}<br><b>%{z:.5~g}</b> ${units}<extra>${name}</extra>`,
  };
}

/**
 * The two axes of a picture panel, in voxels, with pixels as tall as the spacing makes them. Panels with the same
 * `matches` zoom and pan as one.
 */
export function pictureAxes(
  panel: number,
  { columns, rows, reversed, aspect }: Pick<Plane, 'columns' | 'rows' | 'reversed' | 'aspect'>,
  place: Place,
  matches = panel,
): Layout {
  const shared = { showgrid: false, zeroline: false, ticks: '', showticklabels: false, constrain: 'domain' };
  const [own, leader] = [axesOf(panel), axesOf(matches)];
  const follows = matches !== panel;
  return axisOptions(
    panel,
    {
      ...shared,
      domain: place.x,
      range: extent(columns, reversed.horizontal),
      ...(follows && { matches: leader.xaxis }),
    },
    {
      ...shared,
      domain: place.y,
      range: extent(rows, reversed.vertical),
      constraintoward: 'top',
      ...(follows ? { matches: leader.yaxis } : { scaleanchor: own.xaxis, scaleratio: aspect }),
    },
  );
}

/** The letters at the left and the top of a picture that say where the patient's right, front and head are. */
export function orientationMarks(panel: number, { edges }: Plane): Layout[] {
  const { xaxis, yaxis } = axesOf(panel);
  const look = {
    xref: `${xaxis} domain`,
    yref: `${yaxis} domain`,
    showarrow: false,
    font: { size: SMALL, color: '#ffffff' },
    bgcolor: 'rgba(0,0,0,0.6)',
    borderpad: 1,
  };
  return [
    { ...look, text: edges.left, x: 0, y: 0.5, xanchor: 'left', yanchor: 'middle' },
    { ...look, text: edges.top, x: 0.5, y: 1, xanchor: 'center', yanchor: 'top' },
  ];
}

/** The scale that all grey pictures of a figure share, so that one click sets the window of all. */
export function grayScale(window: Omit<DisplayWindow, 'label'>, units: string, bar: Layout): Layout {
  return { colorscale: grays, cmin: window.low, cmax: window.high, colorbar: colorbar(units, bar) };
}

/** The scale that the differences of a figure share, white for none. */
export function differenceScale(limit: number, units: string, bar: Layout): Layout {
  const title = units ? `Δ ${units}` : 'Δ';
  return { colorscale: diverging, cmin: -limit, cmax: limit, colorbar: colorbar(title, bar) };
}

export function colorbar(title: string, more: Layout): Layout {
  return {
    title: { text: title, side: 'top', font: { size: SMALL } },
    thickness: 9,
    outlinewidth: 0,
    tickfont: { size: SMALL },
    ticks: '',
    tickcolor: hairline,
    xpad: 4,
    ...more,
  };
}

/** The 99.5th percentile of the absolute differences, so that a few outliers don't hide the rest. */
export function differenceLimit(differences: readonly Float32Array[]): number {
  const sizes = Float32Array.from(differences.flatMap((part) => Array.from(part, Math.abs))).sort();
  const limit = sizes[Math.floor(0.995 * (sizes.length - 1))] ?? 0;
  return limit > 0 && Number.isFinite(limit) ? Number(limit.toPrecision(2)) : 1;
}

/** Buttons that set the window of the grey pictures; none if there is no choice. */
export function windowButtons(
  windows: readonly DisplayWindow[],
  place: Parameters<typeof choiceButtons>[2],
): Layout[] {
  if (windows.length < 2) return [];
  const choices = windows.map(({ label, low, high }) => ({
    label,
    layout: { 'coloraxis.cmin': low, 'coloraxis.cmax': high },
  }));
  return choiceButtons('window', choices, place);
}

/**
 * The windows to offer for these values: the radiologist's if they look like Hounsfield units (some are below -200,
 * which no display value is), otherwise a robust range; and always the full range.
 */
export function windowsFor(samples: readonly Float32Array[]): {
  windows: readonly DisplayWindow[];
  units: string;
} {
  const sorted = Float32Array.from(samples.flatMap((part) => [...part.filter(Number.isFinite)])).sort();
  const at = (fraction: number): number => sorted[Math.round(fraction * (sorted.length - 1))] ?? 0;
  const [low, high] = [at(0), at(1)];
  // One value alone is grey: in the middle of a window around it that float32 can tell from it.
  const around = Math.max(0.5, Math.abs(low) / 100);
  const isConstant = low === high;
  const all = {
    label: 'full range',
    low: isConstant ? low - around : low,
    high: isConstant ? high + around : high,
  };
  if (low < -200) {
    const windows = isConstant ? [all, ...hounsfieldWindows] : [...hounsfieldWindows, all];
    return { windows, units: 'HU' };
  }
  const [from, to] = [at(0.005), at(0.995)];
  const robust = { label: 'middle 99 %', low: from, high: to };
  const differs = to > from && (from > low || to < high);
  return { windows: differs ? [robust, all] : [all], units: '' };
}

/** The windows to offer for a volume that is measured in one of its own, which comes first. */
export function measuredWindows(
  { name, low, high }: Intensity,
  found: readonly DisplayWindow[],
): readonly DisplayWindow[] {
  // `minmax` is how a volume is measured; its reader knows the same window as its full range.
  const isFull = name.startsWith('minmax');
  const same = found.find((window) =>
    isFull ? window.label === 'full range' : window.low === low && window.high === high,
  );
  const label = same?.label ?? name.split(' (')[0]!;
  const own =
    isFull && same
      ? { label, low: Math.min(low, same.low), high: Math.max(high, same.high) }
      : { label, low, high };
  return [own, ...found.filter((window) => window !== same)];
}

/** The windows of radiology. Models know no bone: level 400, width 1800. */
export const hounsfieldWindows: readonly DisplayWindow[] = [
  ...(['ctpa', 'mediastinum', 'lung'] as const).map((label) => {
    const [low, high] = intensityPresets[label];
    return { label, low, high };
  }),
  { label: 'bone', low: -500, high: 1300 },
];

/** The units that a figure names; a file's own have no name. */
export function unitsOf({ units }: Pick<Intensity, 'units'>): string {
  return units === 'HU' ? 'HU' : '';
}

function extent(count: number, reversed: boolean): [number, number] {
  return reversed ? [count - 0.5, -0.5] : [-0.5, count - 0.5];
}
