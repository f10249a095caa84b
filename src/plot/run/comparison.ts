import type { RunComparison } from '../../evaluate/compare-runs';
import { type MetricName, shownMetrics } from '../../evaluate/metrics';
import type { TrainingFigures } from '../../evaluate/training-cost';
import { measureTitle, numberText } from '../../train/settings/measures';
import { lineTrace, spans } from '../base/layout';
import { meanText, metricLabel, metricText } from '../base/metric-text';
import { type Cell, Table } from '../base/table';
import { color, ink } from '../base/theme';
import { notesTable } from '../comparison/evaluation';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';

/**
 * Runs beside one another: for each metric every run's mean over patients and its interval, then what the training
 * took, then the first run against each of the others. `patchwise compare` prints the same.
 */
export function runComparisonTables(comparison: RunComparison): Table[] {
  const { means, runs, differences, units } = comparison;
  const metrics = shownMetrics.filter(({ key }) => means.some((row) => row.metrics[key] !== undefined));
  const found = means.flatMap((row) => Object.values(row.metrics));
  const patients = Math.max(0, ...found.map(({ count }) => count));
  const interval = found.some(({ low }) => !Number.isNaN(low)) ? ' [95 % interval]' : '';
  const volumes = new Table({
    caption: `mean over ${patients} patient${patients === 1 ? '' : 's'}${interval}, at full resolution`,
    columns: ['metric', ...means.map(({ name }) => name)],
    rows: metrics.map((metric) => [
      metricLabel(metric.key, units),
      ...means.map((row): Cell => meanText(metric.key, row.metrics[metric.key], patients)),
    ]),
  });
  const chosen = [...new Set(runs.map(({ checkpoint }) => checkpoint.why))];
  const training = new Table({
    caption: `what the training took${chosen.length === 1 ? `; each checkpoint is ${chosen[0]}` : ''}`,
    columns: ['quantity', ...runs.map(({ name }) => name)],
    rows: [
      ['step of the checkpoint', ...runs.map(({ checkpoint }) => String(checkpoint.step))],
      ...(chosen.length > 1 ? [['chosen as', ...runs.map(({ checkpoint }) => checkpoint.why)]] : []),
      ...trainingQuantities.map(([name, of]): Cell[] => [name, ...runs.map(({ training }) => of(training))]),
    ],
  });
  const first = runs[0]?.name ?? '';
  const paired = new Table({
    caption: `${first} minus the other, patient by patient`,
    columns: ['against', 'metric', `difference${interval}`, 'p', 'better for'],
    rows: differences.flatMap((row) => {
      const metric = shownMetrics.find(({ key }) => key === row.metric);
      if (!metric) return [];
      const [mean, low, high] = [row.mean, row.low, row.high].map((value) => signed(metric.key, value));
      const range = Number.isNaN(row.low) ? '' : ` [${low}, ${high}]`;
      const better = metric.better && { higher: row.wins, lower: row.count - row.wins }[metric.better];
      const count = better === undefined ? undefined : `${better} of ${row.count}`;
      return [[row.other, metricLabel(metric.key, units), `${mean}${range}`, pText(row.p), count]];
    }),
  });
  return [volumes, training, paired, ...notesTable(comparison.notes)];
}

/** As texts, since a column of a run has quantities of all kinds: a number would take the digits of the others. */
const trainingQuantities: readonly (readonly [string, (training: TrainingFigures) => Cell])[] = [
  ['ranks', ({ ranks }) => String(ranks)],
  ['steps', ({ steps }) => String(steps)],
  ['voxels seen', ({ voxels }) => `${(voxels / 1e6).toFixed(1)} M`],
  ['time, s', ({ seconds }) => seconds.toFixed(1)],
  [measureTitle('seconds'), ({ secondsPerStep }) => numberText('seconds', secondsPerStep)],
  [
    measureTitle('patchesPerSecond'),
    ({ patchesPerSecond }) => numberText('patchesPerSecond', patchesPerSecond),
  ],
  ['memory a rank (forecast), MiB', ({ memory }) => (memory / 2 ** 20).toFixed(0)],
  [`validation ${measureTitle('psnr')}`, ({ validationPsnr: psnr }) => psnr && numberText('psnr', psnr)],
];

function signed(key: MetricName, value: number): string {
  return `${value > 0 ? '+' : ''}${metricText(key, value)}`;
}

function pText(p: number): string {
  return p < 0.001 ? p.toExponential(0) : p.toFixed(3);
}

/**
 * Every patient as a line from run to run, and the mean with its interval: whether one run is better for all
 * patients or for some. One panel a metric.
 */
export function runComparisonFigure(comparison: RunComparison): Figure {
  const { rows, means } = comparison;
  const names = means.map(({ name }) => name);
  const volumes = [...new Set(rows.map(({ volume }) => volume))];
  const drawing = new Drawing();
  spans(panels.length, 0.08).forEach((x, i) => {
    const { key, digits } = panels[i]!;
    const label = metricLabel(key, comparison.units);
    const axes = drawing.addGraph(i + 1, label, { x }, { type: 'category' }, { nticks: 6 });
    const look = { ...axes, showlegend: false };
    const hover = (what: string, extra: string) =>
      `${what}<br><b>%{y:.${digits}f}</b><extra>${extra}</extra>`;
    for (const volume of volumes) {
      const own = names.map((name) => rows.find((row) => row.name === name && row.volume === volume)?.[key]);
      const thin = { line: { color: ink, width: 1 }, marker: { size: 4, color: ink }, opacity: 0.6 };
      drawing.data.push(
        lineTrace(volume, names, own, { ...look, ...thin, hovertemplate: hover('%{x}', volume) }),
      );
    }
    names.forEach((name, run) => {
      const mean = means[run]!.metrics[key];
      if (!mean) return;
      if (!Number.isNaN(mean.low)) {
        const interval = { mode: 'lines', hoverinfo: 'skip', line: { color: color(run), width: 4 } };
        drawing.data.push(lineTrace(name, [name, name], [mean.low, mean.high], { ...look, ...interval }));
      }
      const marker = { size: 10, color: color(run), symbol: 'diamond' };
      const mark = { mode: 'markers', marker, hovertemplate: hover('mean of %{x}', '') };
      drawing.data.push(lineTrace(name, [name], [mean.mean], { ...look, ...mark }));
    });
  });
  const hasInterval = means.some(({ metrics }) =>
    panels.some(({ key }) => !Number.isNaN(metrics[key]?.low ?? Number.NaN)),
  );
  const title = `each line a volume, each diamond the mean over patients${hasInterval ? ' with its 95 % interval' : ''}`;
  const text = runComparisonTables(comparison).map((table) => table.toText());
  const margin = { l: 48, r: 16, t: 70, b: 44 };
  return drawing.figure(title, 340, { margin }, [title, ...text].join('\n\n'));
}

const panels = shownMetrics.filter(({ key }) => ['psnr', 'ssim', 'mae'].includes(key));
