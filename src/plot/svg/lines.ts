import type { Trace } from '../base/layout';
import type { AxisPair } from './axes';
import { element, number } from './elements';

const DASHES: Record<string, string> = { dash: '6 4', dot: '2 3', dashdot: '6 3 2 3' };
/** The colour of a trace that names none. */
export const UNNAMED = '#0072b2';

interface Look {
  readonly color?: string;
  readonly width?: number;
  readonly dash?: string;
  readonly size?: number;
}

export function looksOf({ line, marker }: Trace): { line: Look; marker: Look } {
  return { line: (line ?? {}) as Look, marker: (marker ?? {}) as Look };
}

export function strokeOf({ width = 2, dash = '' }: Look, color: string): Record<string, unknown> {
  return { stroke: color, 'stroke-width': width, 'stroke-dasharray': DASHES[dash] };
}

/** A scatter trace: its line, broken at gaps, and its markers, each drawn as the mode says. */
export function linesSvg(trace: Trace, pair: AxisPair): string {
  const xs = (trace.x ?? []) as readonly unknown[];
  const ys = (trace.y ?? []) as readonly unknown[];
  const points = ys.map((y, i) => (y === null || y === undefined ? [] : [pair.px(xs[i] ?? i), pair.py(y)]));
  const drawn = points.map(([x, y]) =>
    Number.isFinite(x) && Number.isFinite(y) ? ([x!, y!] as const) : undefined,
  );
  const mode = String(trace.mode ?? 'lines');
  const { line, marker } = looksOf(trace);
  const color = line.color ?? marker.color ?? UNNAMED;
  const d = drawn
    .map((point, i) => point && `${drawn[i - 1] ? 'L' : 'M'}${number(point[0])} ${number(point[1])}`)
    .join('');
  const look = { d, fill: 'none', 'stroke-linejoin': 'round', ...strokeOf(line, color) };
  const [r, fill] = [(marker.size ?? 6) / 2, marker.color ?? color];
  const dots = mode.includes('markers')
    ? drawn.map((point) => point && element('circle', { cx: point[0], cy: point[1], r, fill }))
    : [];
  const drawing = [mode.includes('lines') && d ? element('path', look) : '', ...dots].join('');
  return trace.opacity === undefined ? drawing : element('g', { opacity: trace.opacity }, drawing);
}

/** A bar trace, upright bars side by side at their categories or values. */
export function barsSvg(trace: Trace, pair: AxisPair): string {
  const xs = (trace.x ?? []) as readonly unknown[];
  const ys = (trace.y ?? []) as readonly unknown[];
  const fill = looksOf(trace).marker.color ?? UNNAMED;
  const apart = Math.abs(pair.px(1) - pair.px(0)); // of categories too, which count from 0
  const width = Number(trace.width ?? 0.8) * apart;
  const zero = pair.py(0);
  const bars = xs.map((x, i) => {
    const y = pair.py(ys[i] ?? 0);
    const box = { x: pair.px(x) - width / 2, y: Math.min(y, zero), width, height: Math.abs(zero - y) };
    return Number.isFinite(y) ? element('rect', { ...box, fill }) : '';
  });
  return bars.join('');
}
