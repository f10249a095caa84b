import { axisNames } from '../../vec3';
import { sliderLook } from '../base/controls';
import { encodePicture } from '../base/encode';
import { axesOf, type Layout, type Span, type Trace } from '../base/layout';
import { picture } from '../base/panels';
import { type Plane, sliceOf, spread } from '../base/planes';
import type { ShownVolume } from '../base/shown';

const MOST_SLICES = 21;
const CROSSHAIR = 'rgba(230,159,0,0.75)';

/** One plane of a volume: the slices its slider goes through, the one shown first in the middle of them. */
interface SliceStack {
  readonly plane: Plane;
  readonly panel: number;
  readonly indices: readonly number[];
  readonly first: number;
  readonly traces: readonly Trace[];
}

/** The slices of a plane that fit into `bytes` of JSON, including the one at `at`, which alone starts visible. */
export function sliceStack(
  volume: ShownVolume,
  plane: Plane,
  at: number,
  options: { readonly panel: number; readonly units: string; readonly step: number; readonly bytes: number },
): SliceStack {
  const { panel, units, step } = options;
  const size = [Math.ceil(plane.rows / step), Math.ceil(plane.columns / step)] as const;
  const each = encodePicture(sliceOf(volume, plane, at, step), ...size).bdata.length;
  const most = Math.max(1, Math.min(MOST_SLICES, plane.count, Math.floor(options.bytes / each)));
  const indices = spreadAround(at, plane.count, most);
  const traces = indices.map((index) => {
    const look = { panel, units, step, name: plane.name, visible: index === at };
    return picture(sliceOf(volume, plane, index, step), plane, index, look);
  });
  return { plane, panel, indices, first: indices.indexOf(at), traces };
}

/** Ascending, evenly spread over all slices, with `at` in the place of the nearest. */
function spreadAround(at: number, count: number, n: number): number[] {
  const even = spread(count, n);
  const nearest = even.reduce((best, index) => (Math.abs(index - at) < Math.abs(best - at) ? index : best));
  return [...new Set(even.map((index) => (index === nearest ? at : index)))].sort((a, b) => a - b);
}

/** Where each stack's slice cuts the panels of the others. */
export function crosshair(stacks: readonly SliceStack[]): Layout[] {
  return stacks.flatMap((stack) =>
    othersOf(stack, stacks).map((other) => {
      const at = stack.indices[stack.first]!;
      const { xaxis, yaxis } = axesOf(other.panel);
      const line = { type: 'line', line: { color: CROSSHAIR, width: 1 } };
      return isUpright(stack, other)
        ? { ...line, xref: xaxis, yref: `${yaxis} domain`, x0: at, x1: at, y0: 0, y1: 1 }
        : { ...line, xref: `${xaxis} domain`, yref: yaxis, x0: 0, x1: 1, y0: at, y1: at };
    }),
  );
}

/**
 * A slider below each panel: it shows another slice, moves the lines it draws in the other panels and says which
 * slice it is in the panel's heading, which must be annotation `panel - 1`.
 */
export function stackSliders(stacks: readonly SliceStack[], domains: readonly Span[]): Layout[] {
  let before = 0;
  return stacks.map((stack, number) => {
    const traces = stack.traces.map((_, i) => before + i);
    before += traces.length;
    const lines = othersOf(stack, stacks).map(
      (other, i) => `shapes[${2 * number + i}].${isUpright(stack, other) ? 'x' : 'y'}`,
    );
    const [left, right] = domains[number]!;
    return {
      ...sliderLook,
      active: stack.first,
      x: left,
      len: right - left,
      y: 0,
      ticklen: 0,
      pad: { t: 6, b: 0, l: 6, r: 6 },
      currentvalue: { visible: false },
      steps: stack.indices.map((index, at) => {
        const ends = lines.flatMap((line) => [0, 1].map((end) => [`${line}${end}`, index]));
        const text = { [`annotations[${number}].text`]: sliceHeading(stack.plane, index) };
        return {
          label: stack.indices.length > 9 && at % 5 !== 0 ? '' : String(index),
          value: String(index),
          method: 'update',
          args: [
            { visible: traces.map((_, i) => i === at) },
            { ...text, ...Object.fromEntries(ends) },
            traces,
          ],
        };
      }),
    };
  });
}

export function sliceHeading(plane: Plane, index: number): string {
  return `${plane.name} · ${axisNames[plane.through]} = ${index}`;
}

function othersOf(stack: SliceStack, stacks: readonly SliceStack[]): SliceStack[] {
  return stacks.filter((other) => other !== stack);
}

/** Whether the line that shows a stack's slice in the panel of another one is upright there. */
function isUpright(stack: SliceStack, other: SliceStack): boolean {
  return other.plane.horizontal === stack.plane.through;
}
