import { decimate, type Points } from './decimate';
import { Figure, type Layout, type Trace } from './figure';
import { axisId, axisKey } from './panels';
import { adversarialPanels, type PanelKey, runPanels, type Series, seriesOf } from './run-series';
import type { ShownRecord, ShownStatus } from './shown';
import { baseLayout, color, graphAxis, heading } from './theme';

export interface RunFigureOptions {
  readonly title?: string;
  /** Points a line is thinned to; spikes stay. */
  readonly points?: number;
}

/**
 * The course of a run: loss, PSNR, perplexity, codebook usage, throughput and the step time of every rank, against
 * the optimiser step. Validation is drawn with markers over the thinner line of training.
 */
export function runFigure(
  records: readonly ShownRecord[],
  status?: ShownStatus,
  options: RunFigureOptions = {},
): Figure {
  return seriesFigure(seriesOf(records), status, options);
}

/** The same from the lines of the records: what a live figure has, which sees each record once. */
export function seriesFigure(
  series: readonly Series[],
  status?: ShownStatus,
  options: RunFigureOptions = {},
): Figure {
  const drawn = new Set<string>(series.map(({ panel }) => panel));
  const title = runTitle(status, options.title);
  const panels = panelsOf(series);
  const columns = 3;
  const rows = panels.length / columns;
  const [gapX, gapY] = [0.065, 0.4 / rows];
  const width = (1 - gapX * (columns - 1)) / columns;
  const height = (1 - gapY * (rows - 1)) / rows;
  const axes: Layout[] = [];
  const annotations: Layout[] = [];
  panels.forEach((panel, i) => {
    const x0 = (i % columns) * (width + gapX);
    const row = Math.floor(i / columns);
    const y0 = (rows - 1 - row) * (height + gapY);
    const lines = series.filter((line) => line.panel === panel.key);
    const number = i + 1;
    const xTitle = row < rows - 1 ? '' : 'step';
    axes.push({
      [axisKey('x', number)]: graphAxis(xTitle, {
        domain: [x0, x0 + width],
        anchor: axisId('y', number),
        nticks: 5,
        type: 'linear',
        ...(number > 1 ? { matches: 'x' } : {}),
        ...(series.length === 0 ? { range: [0, status?.steps || 1] } : {}),
      }),
      [axisKey('y', number)]: graphAxis('', {
        domain: [y0, y0 + height],
        anchor: axisId('x', number),
        nticks: 5,
        ...(lines.length === 0
          ? { type: 'linear', range: [0, 1], showticklabels: false }
          : scaleOf(panel.key, lines)),
      }),
    });
    annotations.push(heading(panel.title, x0 + width / 2, y0 + height));
  });
  const layout = Object.assign(baseLayout(title, 230 * rows), ...axes, {
    annotations,
    margin: { l: 44, r: 16, t: 66, b: 66 },
    legend: { orientation: 'h', x: 0, y: -0.13, yanchor: 'top', font: { size: 11 } },
  });
  const data = series.map((line) => runTrace(line, options.points ?? 2000));
  for (const [i, { key }] of panels.entries()) if (!drawn.has(key)) data.push(emptyPanel(i + 1));
  return new Figure(data, layout, [title, ...lastValues(series)].join(' · '));
}

const allPanels = [...runPanels, ...adversarialPanels];

function panelsOf(series: readonly Series[]): readonly (typeof allPanels)[number][] {
  const more = series.some(({ panel }) => adversarialPanels.some(({ key }) => key === panel));
  return more ? allPanels : runPanels;
}

/** The latest value of each panel, of validation where it was measured. */
function lastValues(series: readonly Series[]): string[] {
  return runPanels.slice(0, 5).flatMap(({ key, title }) => {
    const lines = series.filter(({ panel }) => panel === key);
    const value = (lines.find(({ name }) => name === 'validation') ?? lines[0])?.y.at(-1);
    if (typeof value !== 'number') return [];
    const [name, unit] = title.split(', ');
    return [[name, Number(value.toPrecision(4)), ...(unit ? [unit] : [])].join(' ')];
  });
}

const signed = new Set<PanelKey>(['psnr', 'adversarial', 'logits']);

/** Losses go down by orders of magnitude: once they have fallen to an eighth the axis is logarithmic. */
function scaleOf(panel: PanelKey, lines: readonly Series[]): Layout {
  if (panel !== 'loss') return { type: 'linear', rangemode: signed.has(panel) ? 'normal' : 'tozero' };
  const values = lines.flatMap(({ y }) => y).filter((value) => value !== null && value > 0) as number[];
  const [low, high] = values.reduce(
    ([a, b], value) => [Math.min(a, value), Math.max(b, value)],
    [Number.POSITIVE_INFINITY, 0],
  );
  if (!(high >= 8 * low)) return { type: 'linear', uirevision: 'linear' };
  const marks = [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4].flatMap((power) =>
    [1, 2, 5].map((digit) => digit * 10 ** power),
  );
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
  return {
    type: 'scatter',
    uid: `empty-${panel}`,
    x: [null], // Plotly draws a path of NaN for an empty list
    y: [null],
    xaxis: axisId('x', panel),
    yaxis: axisId('y', panel),
    showlegend: false,
  };
}

/** What the title says while the run goes on: its name, state and step. */
export function runTitle(status: ShownStatus | undefined, name = 'run'): string {
  if (!status) return name;
  const of = status.steps ? ` of ${status.steps}` : '';
  const parts = [name, status.state, ...(status.step === undefined ? [] : [`step ${status.step}${of}`])];
  if (status.backend) parts.push(status.backend);
  if (status.state !== 'running' && status.error) parts.push(String(status.error).slice(0, 80));
  return parts.join(' · ');
}

/** A line as a Plotly trace; `uid` is its key. */
export function runTrace(line: Series, points: number): Trace {
  const panel = allPanels.findIndex(({ key }) => key === line.panel) + 1;
  const { x, y }: Points = decimate(line, points);
  const validation = line.name === 'validation';
  const rank = /^rank (\d+)$/.exec(line.name)?.[1];
  return {
    type: 'scatter',
    uid: line.key,
    name: line.name,
    legendgroup: line.name,
    showlegend: line.panel === 'loss' || rank !== undefined || line.name in adversarialColors,
    mode: validation ? 'lines+markers' : 'lines',
    x,
    y,
    xaxis: axisId('x', panel),
    yaxis: axisId('y', panel),
    line: { width: validation ? 2 : 1.25, color: colorOf(line.name, rank) },
    ...(validation ? { marker: { size: 5 } } : {}),
    hovertemplate: `step %{x}<br><b>%{y}</b><extra>${line.name}</extra>`,
  };
}

/** Colours of the lines of the third row. */
const adversarialColors: Readonly<Record<string, number>> = {
  generator: 2,
  discriminators: 3,
  real: 4,
  reconstructed: 5,
  'feature matching': 6,
  perceptual: 7,
};

function colorOf(name: string, rank: string | undefined): string {
  if (rank !== undefined) return color(2 + Number(rank));
  return color(adversarialColors[name] ?? (name === 'validation' ? 1 : 0));
}
