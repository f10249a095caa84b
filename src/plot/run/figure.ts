import type { LatestSlices } from '../../train/record/latest-slices';
import { measureOf, measureText, type Panel } from '../../train/settings/measures';
import { choiceButtons } from '../base/controls';
import { axisKeys, type Layout } from '../base/layout';
import type { ShownRecord, ShownStatus } from '../base/shown';
import { heading, SMALL } from '../base/theme';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';
import { type Arrangement, arrangement } from './arrangement';
import { addPanel, legendOf } from './panel';
import { SMOOTHED } from './running-mean';
import { runPanels, type Series, seriesOf } from './series';
import { addSlices, slicesAt } from './slices';

interface RunFigureOptions {
  readonly title?: string;
  /** Points a line is thinned to; spikes stay. */
  readonly points?: number;
  /** Pictures of the latest validation, in a row below the curves. */
  readonly slices?: LatestSlices | undefined;
}

/** Pixels above and below the panels. */
const MARGIN = { title: 34, buttons: 42, runs: 22, bottom: 10 } as const;
/** Names of runs are long: so many are in a row of the legend. */
const RUNS_IN_A_ROW = 3;

/**
 * The course of a run against the optimiser step, in four panels: the loss, PSNR and SSIM of the validation, the use of
 * the codes, the pace. A button shows all others too: the parts of the loss, the discriminators, every rank's step time,
 * its GPU. Bold lines are running means over the faint values of each step, dots are validations.
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
  { title: name, points = 1000, slices }: RunFigureOptions = {},
): Figure {
  const title = runTitle(status, name);
  const panels = panelsOf(series);
  const count = panels.filter(({ first }) => first).length;
  const runs = new Set(series.flatMap(({ run }) => run?.id ?? [])).size;
  const [few, all] = [count, panels.length].map((shown) => arrangement(shown, slices !== undefined));
  const legendHeight = Math.ceil(runs / RUNS_IN_A_ROW) * MARGIN.runs;
  const top = MARGIN.title + MARGIN.buttons + legendHeight;
  const drawing = new Drawing();
  const legends = panels.map((panel, i) => {
    const isSeen = i < count;
    const lines = series.filter((line) => line.panel === panel.key);
    const place = (isSeen ? few : all)!.panels[i]!;
    const steps = series.length === 0 ? (status?.steps ?? 1) : undefined;
    return addPanel(drawing, panel, lines, { number: i + 1, place, isSeen, points, steps });
  });
  const scales = slices && addSlices(drawing, slices, panels.length + 1, few!.pictures);
  if (series.length > 0) drawing.annotations.push(captionAt(legendHeight));

  /** Where everything is once the panels are arranged so. */
  const moved = (to: Arrangement): Layout => ({
    height: to.height + top + MARGIN.bottom,
    ...Object.fromEntries(
      panels.flatMap((_, i) => (i < count ? panelAt(to, i, runs > 0) : panelSeen(i, to === all))),
    ),
    ...(slices && slicesAt(panels.length + 1, panels.length, to.pictures)),
  });
  const hidden = drawing.data.flatMap(({ visible }, at) => (visible === false ? at : []));
  const choice = (label: string, to: Arrangement) => ({
    label,
    layout: moved(to),
    seen: { traces: hidden, visible: hidden.map(() => to === all) },
  });
  const choices = [choice('four panels', few!), choice('all panels', all!)];
  const look = {
    ...Object.assign({}, ...legends),
    // One legend for all panels, above them.
    ...(runs > 0 && { legend: { ...(legends[0]!.legend as object), x: 0, y: 1 } }),
    ...scales,
    margin: { l: 52, r: 52, t: top, b: MARGIN.bottom },
    ...(panels.length > count && {
      updatemenus: choiceButtons('panels', choices, {
        y: 1,
        yanchor: 'bottom',
        pad: { b: legendHeight + 5 },
      }),
    }),
  };
  return drawing.figure(
    title,
    few!.height + top + MARGIN.bottom,
    look,
    [title, ...lastValues(series)].join(' · '),
  );
}

/** Where the panel of an index is, by the paths of what must move with it. */
function panelAt(
  { panels }: Arrangement,
  index: number,
  isOfRuns: boolean,
): [path: string, value: unknown][] {
  const { y } = panels[index]!;
  return [
    [`${axisKeys(index + 1).y}.domain`, y],
    [`annotations[${index}].y`, y[1]],
    ...(isOfRuns ? [] : [[`${legendOf(index + 1)}.y`, y[1]] as [string, unknown]]),
  ];
}

function panelSeen(index: number, isSeen: boolean): [path: string, value: unknown][] {
  const { x, y } = axisKeys(index + 1);
  return [`annotations[${index}]`, x, y].map((path) => [`${path}.visible`, isSeen]);
}

/** What the lines are, at the right above the panels. */
function captionAt(above: number): Layout {
  const at = { x: 1, xanchor: 'right', align: 'right', yshift: above + 6 };
  return { ...heading(SMOOTHED, 1, 1), ...at, font: { size: SMALL } };
}

/** The first four, and those that have something to show. */
function panelsOf(series: readonly Series[]): readonly Panel[] {
  const drawn = new Set(series.map(({ panel }) => panel));
  return runPanels.filter(({ first, key }) => first || drawn.has(key));
}

/**
 * The latest values of training and of validation, each with its step. The two steps seldom agree, and the run may be
 * past both.
 */
function lastValues(series: readonly Series[]): string[] {
  if (series.some(({ run }) => run)) return [];
  const keys = new Set(runPanels.filter(({ first }) => first).map(({ key }) => key));
  return ['train', 'validation'].flatMap((split) => {
    const lines = series.filter((line) => line.split === split && !line.mean && keys.has(line.panel));
    const step = Math.max(...lines.map(({ x }) => x.at(-1) ?? 0));
    const values = lines.flatMap(({ measure, x, y }) => {
      const value = y.at(-1);
      if (x.at(-1) !== step || typeof value !== 'number') return [];
      return [measureText(measure, value / (measureOf(measure).times ?? 1))];
    });
    const label = split === 'train' ? 'training' : split;
    return values.length > 0 ? [`${label} at step ${step}: ${values.join(', ')}`] : [];
  });
}

/** What the title says while the run goes on: its name, state and step. */
function runTitle(status: ShownStatus | undefined, name = 'run'): string {
  if (!status) return name;
  const of = status.steps ? ` of ${status.steps}` : '';
  const parts = [name, status.state, ...(status.step === undefined ? [] : [`step ${status.step}${of}`])];
  if (status.backend) parts.push(status.backend);
  // What comes before the reason; the terminal and the log have all of it.
  if (status.idle) parts.push(status.idle.split(':')[0]!);
  if (status.state !== 'running' && status.error) parts.push(String(status.error).slice(0, 80));
  return parts.join(' · ');
}
