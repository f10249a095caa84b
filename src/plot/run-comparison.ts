import { Figure, type Layout, type Trace } from './figure';
import { axisId, axisKey } from './panels';
import type { ShownRunComparison, ShownTraining } from './shown';
import { type Cell, Table } from './table';
import { baseLayout, color, graphAxis, heading, ink } from './theme';

/** Metrics as a reader calls them, in the order they are shown; `digits` after the point. */
const shown = [
  { key: 'psnr', label: 'PSNR, dB', digits: 2 },
  { key: 'ssim', label: 'SSIM', digits: 4 },
  { key: 'msSsim', label: 'MS-SSIM', digits: 4 },
  { key: 'mae', label: 'MAE', digits: 2 },
  { key: 'rmse', label: 'RMSE', digits: 2 },
  { key: 'seamEnergy', label: 'seam energy', digits: 3 },
  { key: 'perplexity', label: 'perplexity', digits: 1 },
  { key: 'usage', label: 'codes in use', digits: 3 },
  { key: 'seconds', label: 's / volume', digits: 2 },
] as const;

/**
 * Runs beside one another: a row a metric with every run's mean over patients and its interval, then what the
 * training took, then the first run against each other one. `patchwise compare` prints the same.
 */
export function runComparisonTables(comparison: ShownRunComparison): Table[] {
  const { means, runs, differences, units } = comparison;
  const metrics = shown.filter(({ key }) => means.some((row) => row.metrics[key] !== undefined));
  const label = ({ key, label }: (typeof shown)[number]) =>
    (key === 'mae' || key === 'rmse') && units === 'HU' ? `${label}, HU` : label;
  const patients = means[0]?.metrics.mae?.count ?? 0;
  const volumes = new Table({
    caption: `mean over ${patients} patient${patients === 1 ? '' : 's'} [95 % interval], at full resolution`,
    columns: ['metric', ...means.map(({ name }) => name)],
    rows: metrics.map((metric) => [
      label(metric),
      ...means.map((row): Cell => {
        const of = row.metrics[metric.key];
        const [mean, low, high] = of ? [of.mean, of.low, of.high].map((v) => v.toFixed(metric.digits)) : [];
        return of && `${mean} [${low}, ${high}]`;
      }),
    ]),
  });
  const training = new Table({
    caption: 'what the training took',
    columns: ['run', ...trainingColumns.map(([name]) => name)],
    rows: runs.map(({ name, training }) => [name, ...trainingColumns.map(([, of]) => of(training))]),
  });
  const first = runs[0]?.name ?? '';
  const paired = new Table({
    caption: `${first} minus the other, patient by patient`,
    columns: ['against', 'metric', 'difference [95 %]', 'p', 'better for'],
    rows: differences.flatMap((row) => {
      const metric = shown.find(({ key }) => key === row.metric);
      if (!metric) return [];
      const [mean, low, high] = [row.mean, row.low, row.high].map((value) => signed(value, metric.digits));
      const better = lowerIsBetter.has(row.metric) ? row.count - row.wins : row.wins;
      const count = neutral.has(row.metric) ? undefined : `${better} of ${row.count}`;
      return [[row.other, label(metric), `${mean} [${low}, ${high}]`, pText(row.p), count]];
    }),
  });
  const notes = comparison.notes.map((note): Cell[] => [note]);
  return [
    volumes,
    training,
    paired,
    ...(notes.length > 0 ? [new Table({ columns: ['what to keep in mind'], rows: notes })] : []),
  ];
}

const lowerIsBetter = new Set(['mae', 'rmse', 'seamEnergy', 'seconds']);
const neutral = new Set(['perplexity', 'usage']);

const trainingColumns: readonly (readonly [string, (training: ShownTraining) => Cell])[] = [
  ['ranks', ({ ranks }) => ranks],
  ['steps', ({ steps }) => steps],
  ['voxels seen', ({ voxels }) => `${(voxels / 1e6).toFixed(1)} M`],
  ['time, s', ({ seconds }) => Number(seconds.toFixed(1))],
  ['s / step', ({ secondsPerStep }) => Number(secondsPerStep.toPrecision(3))],
  ['patches / s', ({ patchesPerSecond }) => Number(patchesPerSecond.toPrecision(3))],
  ['memory a rank (forecast), MiB', ({ memory }) => Math.round(memory / 2 ** 20)],
  ['validation PSNR, dB', ({ validationPsnr }) => validationPsnr?.toFixed(2)],
];

function signed(value: number, digits: number): string {
  return `${value > 0 ? '+' : ''}${value.toFixed(digits)}`;
}

function pText(p: number): string {
  return p < 0.001 ? p.toExponential(0) : p.toFixed(3);
}

/**
 * Every patient as a line from run to run, and the mean with its interval: whether one run is better for all
 * patients or for some. One panel a metric.
 */
export function runComparisonFigure(comparison: ShownRunComparison): Figure {
  const { rows, means } = comparison;
  const names = means.map(({ name }) => name);
  const panels = shown.filter(({ key }) => ['psnr', 'ssim', 'mae'].includes(key));
  const [gap, width] = [0.08, (1 - 2 * 0.08) / 3];
  const data: Trace[] = [];
  const axes: Layout[] = [];
  const annotations: Layout[] = [];
  panels.forEach(({ key, label, digits }, i) => {
    const at = { xaxis: axisId('x', i + 1), yaxis: axisId('y', i + 1), showlegend: false };
    const volumes = [...new Set(rows.map(({ volume }) => volume))];
    for (const volume of volumes) {
      const own = names.map((name) => rows.find((row) => row.name === name && row.volume === volume)?.[key]);
      data.push({
        ...at,
        type: 'scatter',
        mode: 'lines+markers',
        name: volume,
        x: names,
        y: own,
        line: { color: ink, width: 1 },
        marker: { size: 4, color: ink },
        opacity: 0.6,
        hovertemplate: `%{x}<br><b>%{y:.${digits}f}</b><extra>${volume}</extra>`,
      });
    }
    names.forEach((name, run) => {
      const mean = means[run]!.metrics[key];
      if (!mean) return;
      const interval = { x: [name, name], y: [mean.low, mean.high], line: { color: color(run), width: 4 } };
      data.push({ ...at, type: 'scatter', mode: 'lines', name, hoverinfo: 'skip', ...interval });
      data.push({
        ...at,
        type: 'scatter',
        mode: 'markers',
        name,
        x: [name],
        y: [mean.mean],
        marker: { size: 10, color: color(run), symbol: 'diamond' },
        hovertemplate: `mean of %{x}<br><b>%{y:.${digits}f}</b><extra></extra>`,
      });
    });
    const x0 = i * (width + gap);
    axes.push({
      [axisKey('x', i + 1)]: graphAxis('', {
        domain: [x0, x0 + width],
        anchor: axisId('y', i + 1),
        type: 'category',
      }),
      [axisKey('y', i + 1)]: graphAxis('', { anchor: axisId('x', i + 1), nticks: 6 }),
    });
    const inUnits = key === 'mae' && comparison.units === 'HU' ? ', HU' : '';
    annotations.push(heading(`${label}${inUnits}`, x0 + width / 2, 1));
  });
  const title = 'each line a volume, each diamond the mean over patients with its 95 % interval';
  const layout = Object.assign(baseLayout(title, 340), ...axes, {
    annotations,
    margin: { l: 48, r: 16, t: 70, b: 44 },
  });
  const text = runComparisonTables(comparison).map((table) => table.toText());
  return new Figure(data, layout, [title, ...text].join('\n\n'));
}
