import type { LatestSlices } from '../../train/record/latest-slices';
import { measureOf, type Panel } from '../../train/settings/measures';
import { finiteRange } from '../../volume/intensity';
import { axesOf, type Layout, spans, type Trace } from '../base/layout';
import type { ShownRecord, ShownStatus } from '../base/shown';
import { color } from '../base/theme';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';
import { decimate } from './decimate';
import { runPanels, type Series, seriesOf, sharingMeasures } from './series';
import { addSlices } from './slices';

interface RunFigureOptions {
  readonly title?: string;
  /** Points a line is thinned to; spikes stay. */
  readonly points?: number;
  /** Pictures of the latest validation, in a row below the curves. */
  readonly slices?: LatestSlices | undefined;
}

/** Heights in pixels: of two rows of curves, of each further one, of the row of pictures. */
const HEIGHT = { curves: 460, row: 230, slices: 260 } as const;

/**
 * The course of a run: loss and its parts, PSNR, perplexity, codebook usage, throughput, the step time of every rank
 * and what its GPUs do, against the optimiser step. Validation is drawn with markers over the thinner line of training.
 */
export function runFigure(
  records: readonly ShownRecord[],
  status?: ShownStatus,
  options: RunFigureOptions = {},
): Figure {
  return seriesFigure(seriesOf(records), status, options);
}

/** The same from lines, for a live figure, which sees each record once. */
export function seriesFigure(
  series: readonly Series[],
  status?: ShownStatus,
  options: RunFigureOptions = {},
): Figure {
  const drawn = new Set<string>(series.map(({ panel }) => panel));
  const panels = panelsOf(drawn);
  const title = runTitle(status, options.title);
  const columns = panels.length <= 6 || panels.length === 9 ? 3 : 4;
  const rows = Math.ceil(panels.length / columns);
  const { slices } = options;
  const curves = HEIGHT.curves + (rows - 2) * HEIGHT.row;
  const height = curves + (slices ? HEIGHT.slices : 0);
  // The curves' part of the paper, above that of the pictures.
  const bottom = slices ? HEIGHT.slices / (height - 132) : 0;
  const across = spans(columns, 0.065);
  const down = spans(rows, (0.2 * 2 * (1 - bottom)) / rows, bottom).reverse();
  const drawing = new Drawing();
  const keys = panels.map(({ key }) => key);
  drawing.data.push(...series.map((line) => runTrace(line, options.points ?? 2000, keys)));
  panels.forEach((panel, i) => {
    const place = { x: across[i % columns]!, y: down[Math.floor(i / columns)]! };
    const lines = series.filter((line) => line.panel === panel.key);
    const x = {
      title: i + columns < panels.length ? '' : 'step',
      nticks: 5,
      type: 'linear',
      ...(i > 0 && { matches: 'x' }),
      ...(series.length === 0 && { range: [0, status?.steps || 1] }),
    };
    const scale =
      lines.length === 0 ? { type: 'linear', range: [0, 1], showticklabels: false } : scaleOf(panel, lines);
    drawing.addGraph(i + 1, panel.title, place, x, { nticks: 5, ...scale });
    if (!drawn.has(panel.key)) drawing.data.push(emptyPanel(i + 1));
  });
  const y = -0.13 * (HEIGHT.curves / height);
  const look = {
    ...(slices && addSlices(drawing, slices, panels.length + 1, [0, Math.max(0.05, bottom - 0.14)])),
    margin: { l: 44, r: 16, t: 66, b: 66 },
    legend: { orientation: 'h', x: 0, y, yanchor: 'top', font: { size: 11 } },
  };
  return drawing.figure(title, height, look, [title, ...lastValues(series)].join(' · '));
}

/** The panels that are always there, those that have something to show, and of the adversarial ones all or none. */
function panelsOf(drawn: ReadonlySet<string>): readonly Panel[] {
  const isAdversarial = runPanels.some(({ shown, key }) => shown === 'adversarial' && drawn.has(key));
  return runPanels.filter(
    ({ shown, key }) => shown === 'always' || (shown === 'adversarial' ? isAdversarial : drawn.has(key)),
  );
}

/**
 * The latest values of training and of validation, each with its step. The two steps seldom agree, and the run may be
 * past both.
 */
function lastValues(series: readonly Series[]): string[] {
  if (series.some(({ run }) => run)) return [];
  return ['train', 'validation'].flatMap((split) => {
    const lines = series.filter(({ name }) => name === split);
    const step = Math.max(...lines.map(({ x }) => x.at(-1) ?? 0));
    const values = lines.flatMap(({ measure, panel, x, y }) => {
      const value = y.at(-1);
      const { shown } = runPanels.find(({ key }) => key === panel)!;
      if (shown !== 'always' || x.at(-1) !== step || typeof value !== 'number') return [];
      const { label, unit } = measureOf(measure);
      return [`${label} ${Number(value.toPrecision(4))}${unit ? ` ${unit}` : ''}`];
    });
    const label = split === 'train' ? 'training' : split;
    return values.length > 0 ? [`${label} at step ${step}: ${values.join(', ')}`] : [];
  });
}

/** Losses go down by orders of magnitude: once they have fallen to an eighth the axis is logarithmic. */
function scaleOf({ axis }: Panel, lines: readonly Series[]): Layout {
  if (axis === 'percent') return { type: 'linear', range: [0, 105] };
  if (axis !== 'log') return { type: 'linear', rangemode: axis === 'signed' ? 'normal' : 'tozero' };
  const positive = lines.flatMap(({ y }) => y.filter((value) => value! > 0) as number[]);
  const range = finiteRange(positive); // undefined: a logarithmic axis could show nothing
  if (!range || range[1] < 8 * range[0]) return { type: 'linear', uirevision: 'linear' };
  const powers = Array.from({ length: 10 }, (_, i) => i - 5);
  const marks = powers.flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));
  return {
    type: 'log',
    uirevision: 'log', // a zoom on the linear axis means nothing here
    tickmode: 'array',
    tickvals: marks,
    ticktext: marks.map((mark) => String(Number(mark.toPrecision(1)))),
  };
}

/** Plotly draws no axes where there is no trace, so a panel without data gets an empty one. */
function emptyPanel(panel: number): Trace {
  const nothing = [null]; // Plotly draws a path of NaN for an empty list
  const look = { type: 'scatter', uid: `empty-${panel}`, showlegend: false };
  return { ...look, ...axesOf(panel), x: nothing, y: nothing };
}

/** What the title says while the run goes on: its name, state and step. */
function runTitle(status: ShownStatus | undefined, name = 'run'): string {
  if (!status) return name;
  const of = status.steps ? ` of ${status.steps}` : '';
  const parts = [name, status.state, ...(status.step === undefined ? [] : [`step ${status.step}${of}`])];
  if (status.backend) parts.push(status.backend);
  if (status.state !== 'running' && status.error) parts.push(String(status.error).slice(0, 80));
  return parts.join(' · ');
}

/** A line as a Plotly trace; `uid` is its key. @param panels the panels of the figure, in the order of their axes */
function runTrace(line: Series, points: number, panels: readonly string[]): Trace {
  const validation = line.split === 'validation';
  const name = line.run ? `${line.run.id}${validation ? ', validation' : ''}` : line.name;
  return {
    type: 'scatter',
    uid: line.key,
    name,
    legendgroup: name,
    mode: validation ? 'lines+markers' : 'lines',
    // The names of the splits are the same everywhere: the first panel says them.
    showlegend: line.name !== line.split || line.panel === runPanels[0]!.key,
    ...decimate(line, points),
    ...axesOf(panels.indexOf(line.panel) + 1),
    line: { width: validation ? 2 : 1.25, color: colorOf(line) },
    ...(validation && { marker: { size: 5 } }),
    hovertemplate: `step %{x}<br><b>%{y}</b><extra>${name}</extra>`,
  };
}

function colorOf({ name, measure, split, run }: Series): string {
  if (run) return color(run.number);
  const rank = /^rank (\d+)$/.exec(name)?.[1];
  if (rank !== undefined) return color(2 + Number(rank));
  if (name !== split) return color(sharingMeasures.indexOf(measure));
  return color(split === 'validation' ? 1 : 0);
}
