import type { NamedSeamProfile } from '../../evaluate/compare';
import { short } from '../base/encode';
import { Figure, type Layout, type Trace } from '../base/figure';
import { metricLabel, metricText, type ShownMetricName, shownMetrics } from '../base/metric-text';
import { axisId, axisKey } from '../base/panels';
import type { ShownComparison, ShownMetrics } from '../base/shown';
import { Table } from '../base/table';
import { baseLayout, color, graphAxis, heading, ink, layeredWidth } from '../base/theme';

const GAP = 0.07;

/** The metrics of a comparison, a row for every candidate; columns no candidate has are left out. */
export function comparisonTable({
  metrics,
  intensity,
}: Pick<ShownComparison, 'metrics' | 'intensity'>): Table {
  const columns = shownMetrics.filter(({ key }) => metrics.some((row) => measured(row, key) !== undefined));
  return new Table({
    columns: ['candidate', ...columns.map(({ key }) => metricLabel(key, intensity.units))],
    rows: metrics.map((row) => [row.name, ...columns.map(({ key }) => metricText(key, measured(row, key)))]),
  });
}

function measured(row: ShownMetrics, key: ShownMetricName): number | undefined {
  const value = (row as Partial<Record<ShownMetricName, number>>)[key];
  return typeof value === 'number' ? value : undefined;
}

/** The seam profiles alone, one panel for each axis. */
export function seamFigure(
  comparison: Pick<ShownComparison, 'seamProfiles'> & Partial<Pick<ShownComparison, 'intensity'>>,
): Figure {
  const made = seamPanels(comparison.seamProfiles, 1, [0, 1], comparison.intensity?.units);
  const title = 'step between neighbouring voxels, by distance from a patch border';
  const layout = Object.assign(baseLayout(title, 280), made.axes, {
    annotations: made.annotations,
    margin: { l: 48, r: 16, t: 66, b: 66 },
    legend: { orientation: 'h', x: 0, y: -0.24, yanchor: 'top' },
  });
  return new Figure(made.data, layout, title);
}

/**
 * One panel for each axis that has profiles: the mean absolute step against the offset from a border. A bump at 0
 * is a seam.
 *
 * @param firstPanel number of the first pair of axes these panels take
 * @param units of the steps, if they are Hounsfield's
 */
export function seamPanels(
  profiles: readonly NamedSeamProfile[],
  firstPanel: number,
  y: readonly [number, number],
  units?: string,
): { data: Trace[]; axes: Layout; annotations: Layout[] } {
  const axesShown = (['x', 'y', 'z'] as const).filter((axis) =>
    profiles.some((profile) => profile.axis === axis),
  );
  const names = [...new Set(profiles.map(({ name }) => name))];
  const width = (1 - GAP * (axesShown.length - 1)) / axesShown.length;
  const axes: Record<string, unknown> = {};
  const data: Trace[] = [];
  const annotations: Layout[] = [];
  axesShown.forEach((axis, i) => {
    const panel = firstPanel + i;
    const x = [i * (width + GAP), i * (width + GAP) + width];
    axes[axisKey('x', panel)] = graphAxis('voxels from the border', {
      domain: x,
      anchor: axisId('y', panel),
      zerolinecolor: ink,
    });
    axes[axisKey('y', panel)] = graphAxis(i > 0 ? '' : units === 'HU' ? 'mean step, HU' : 'mean step', {
      domain: y,
      anchor: axisId('x', panel),
      rangemode: 'tozero',
      nticks: 5,
    });
    annotations.push({ ...heading(`seam across ${axis}`, x[0]!, y[1]), xanchor: 'left' });
    for (const profile of profiles.filter((one) => one.axis === axis)) {
      data.push({
        type: 'scatter',
        mode: 'lines+markers',
        name: profile.name,
        legendgroup: profile.name,
        showlegend: i === 0,
        x: profile.offsets,
        y: profile.jump.map(short),
        xaxis: axisId('x', panel),
        yaxis: axisId('y', panel),
        line: lineOf(profile.name, names),
        marker: { size: 4 },
        hovertemplate: `%{x} voxels from the border<br><b>%{y}</b><extra>${profile.name}</extra>`,
      });
    }
  });
  return { data, axes, annotations };
}

/** The reference is the dashed grey line that the others are judged by. */
function lineOf(name: string, names: readonly string[]): Layout {
  if (/^(reference|original)$/i.test(name)) return { color: ink, width: 1.5, dash: 'dash' };
  const candidates = names.filter((one) => !/^(reference|original)$/i.test(one));
  const at = candidates.indexOf(name);
  return { color: color(at), width: layeredWidth(at, candidates.length) };
}
