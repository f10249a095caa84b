import { type MeasureName, measureOf, type Panel, type Scale } from '../../train/settings/measures';
import { finiteRange } from '../../volume/intensity';
import { axisKeys, type Layout, type Place, type Trace } from '../base/layout';
import { clear, color, graphAxis, heading, logarithmicMarks, SMALL } from '../base/theme';
import type { Drawing } from '../figure/drawing';
import { decimate } from './decimate';
import { measuresOf, type Series } from './series';

interface PanelOptions {
  readonly number: number;
  readonly place: Place;
  readonly isSeen: boolean;
  /** Most points of a line. */
  readonly points: number;
  /** What the axis of steps goes to while there is nothing to draw. */
  readonly steps: number | undefined;
}

/** Axes at the right have numbers above those of all panels. */
const RIGHT = 50;
/** More ranks have no room in a legend; the pointer names them. */
const MOST_RANKS = 8;
/** Pixels that a heading is above its panel; the legend is between them. */
const ABOVE = 21;

/** Adds the axes of a panel, its heading as one annotation, and its lines; returns its legend. */
export function addPanel(
  drawing: Drawing,
  panel: Panel,
  series: readonly Series[],
  { number, place, isSeen, points, steps }: PanelOptions,
): Layout {
  const measures = measuresOf(panel.key);
  const atRight = (line: Series): boolean => measureOf(line.measure).right !== undefined;
  const right = series.filter(atRight);
  const x = {
    title: 'step',
    nticks: 5,
    type: 'linear',
    ...(number > 1 && { matches: 'x' }),
    ...(steps !== undefined && { range: [0, steps] }),
  };
  const left = series.filter((line) => !atRight(line));
  const look = { visible: isSeen };
  const axes = drawing.addGraph(
    number,
    '',
    place,
    { ...x, ...look },
    { ...scaleOf(panel.axis, left), ...look },
  );
  if (right.length > 0)
    drawing.addAxes({
      [axisKeys(RIGHT + number).y]: graphAxis('', {
        ...{ anchor: axes.xaxis, overlaying: axes.yaxis, side: 'right', showgrid: false, zeroline: false },
        ...{ tickmode: 'auto', ...scaleOf(measureOf(right[0]!.measure).right, right) },
      }),
    });
  const words = heading(headingOf(panel, series), place.x[0], place.y[1]);
  drawing.annotations.push({ ...words, yshift: ABOVE, ...(!isSeen && { visible: false }) });

  const legend = series.some(({ run }) => run) ? 'legend' : legendOf(number);
  const traces = inLayers(series).map((line): Trace => {
    const own = atRight(line) ? { ...axes, yaxis: `y${RIGHT + number}` } : axes;
    return { ...lineTrace(line, measures, series), ...own, ...decimate(line, points), legend };
  });
  // Plotly draws no axes where there is no trace.
  if (traces.length === 0) traces.push(nothing(number, axes));
  drawing.data.push(...traces.map((trace) => (isSeen ? trace : { ...trace, visible: false })));
  return {
    [legend]: {
      ...{ orientation: 'h', x: place.x[0], y: place.y[1], xanchor: 'left', yanchor: 'bottom' },
      ...{ font: { size: SMALL }, bgcolor: clear },
    },
  };
}

/** The legend of a panel, as a trace names it. */
export function legendOf(number: number): string {
  return `legend${number === 1 ? '' : number}`;
}

/** Of several runs the colours are the runs', so the heading says which line is of which axis. */
function headingOf({ title }: Panel, series: readonly Series[]): string {
  const right = series.find(({ run, measure }) => run && measureOf(measure).right);
  return right ? `${title} (dotted: ${measureOf(right.measure).label}, right)` : title;
}

/** What each step has lies below, the means above it, and validation above all. */
function inLayers(series: readonly Series[]): Series[] {
  const layer = ({ split, mean }: Series): number => (split === 'validation' ? 2 : mean ? 1 : 0);
  return [...series].sort((a, b) => layer(a) - layer(b));
}

/** A line as a Plotly trace; `uid` is its key. */
function lineTrace(line: Series, measures: readonly MeasureName[], series: readonly Series[]): Trace {
  const { key, split, run, mean, measure } = line;
  const isValidation = split === 'validation';
  const isFaint = split === 'train' && !mean;
  const shared = measures.length > 1;
  const { right, unit, digits } = measureOf(measure);
  const group = run ? run.id : shared ? measure : line.name;
  const leads = series.find((other) => other.measure === measure && other.mean !== undefined) ?? line;
  const side = measures.some((name) => measureOf(name).right) && (right ? ' (right)' : ' (left)');
  const name = run ? run.id : `${line.name}${side || ''}`;
  const what = isFaint ? '' : mean ? ', mean' : run ? ', validation' : '';
  const format = digits === undefined ? '.4~g' : `.${digits}f`;
  const rank = rankOf(line.name);
  return {
    type: 'scatter',
    uid: key,
    name,
    legendgroup: group,
    showlegend: run
      ? mean !== undefined && measure === 'loss'
      : !isFaint && !(shared && isValidation && leads !== line) && (rank ?? 0) < MOST_RANKS,
    mode: isValidation ? 'lines+markers' : 'lines',
    ...(isFaint && { opacity: 0.25 }),
    line: {
      width: isFaint ? 1 : 2,
      color: colorOf(line, measures),
      ...(run && right && { dash: 'dot' }),
    },
    ...(isValidation && { marker: { size: 5 } }),
    hovertemplate: `step %{x}<br><b>%{y:${format}}</b>${unit ? ` ${unit}` : ''}<extra>${name}${what}</extra>`,
  };
}

/** The colours of training and validation are no measure's. */
function colorOf({ name, measure, split, run }: Series, measures: readonly MeasureName[]): string {
  if (run) return color(run.number);
  const rank = rankOf(name);
  if (rank !== undefined) return color(2 + rank);
  if (measures.length > 1) return color(2 + measures.indexOf(measure));
  return color(split === 'validation' ? 1 : 0);
}

function rankOf(name: string): number | undefined {
  const rank = /^rank (\d+)$/.exec(name)?.[1];
  return rank === undefined ? undefined : Number(rank);
}

/** Losses go down by orders of magnitude: once they have fallen to an eighth the axis is logarithmic. */
function scaleOf(scale: Scale | undefined, lines: readonly Series[]): Layout {
  const look = { nticks: 5 };
  if (lines.length === 0) return { ...look, type: 'linear', range: [0, 1], showticklabels: false };
  if (scale === 'percent') return { ...look, type: 'linear', range: [0, 105] };
  if (scale !== 'log')
    return { ...look, type: 'linear', rangemode: scale === 'signed' ? 'normal' : 'tozero' };
  const positive = lines.flatMap(({ y }) => y.filter((value) => value! > 0) as number[]);
  const range = finiteRange(positive); // undefined: a logarithmic axis could show nothing
  if (!range || range[1] < 8 * range[0]) return { ...look, type: 'linear', uirevision: 'linear' };
  return {
    type: 'log',
    uirevision: 'log', // a zoom on the linear axis means nothing here
    ...logarithmicMarks(range[1] < 300 * range[0] ? [1, 2, 5] : [1]),
  };
}

function nothing(number: number, axes: object): Trace {
  const point = [null]; // Plotly draws a path of NaN for an empty list
  return { type: 'scatter', uid: `empty-${number}`, showlegend: false, ...axes, x: point, y: point };
}
