import type { NamedSeamProfile } from '../../evaluate/compare';
import { shownMetrics } from '../../evaluate/metrics';
import { axisNames } from '../../vec3';
import { short } from '../base/encode';
import { type Layout, lineTrace, type Span, spans } from '../base/layout';
import { metricLabel, metricText } from '../base/metric-text';
import type { ShownComparison } from '../base/shown';
import { Table } from '../base/table';
import { color, heading, ink, layeredWidth, legendBelow } from '../base/theme';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';

/** The metrics of a comparison, a row for every candidate; columns no candidate has are left out. */
export function comparisonTable({
  metrics,
  intensity,
}: Pick<ShownComparison, 'metrics' | 'intensity'>): Table {
  const columns = shownMetrics.filter(({ key }) => metrics.some((row) => typeof row[key] === 'number'));
  return new Table({
    columns: ['candidate', ...columns.map(({ key }) => metricLabel(key, intensity.units))],
    rows: metrics.map((row) => [row.name, ...columns.map(({ key }) => metricText(key, row[key]))]),
  });
}

/** The seam profiles alone, one panel for each axis. */
export function seamFigure(
  comparison: Pick<ShownComparison, 'seamProfiles'> & Partial<Pick<ShownComparison, 'intensity'>>,
): Figure {
  const drawing = new Drawing();
  addSeams(drawing, comparison.seamProfiles, 1, undefined, comparison.intensity?.units);
  const look = { margin: { l: 48, r: 16, t: 66, b: 66 }, legend: legendBelow };
  return drawing.figure('step between neighbouring voxels, by distance from a patch border', 280, look);
}

/**
 * One panel for each axis that has profiles: the mean absolute step against the offset from a border. A bump at 0
 * is a seam.
 *
 * @param firstPanel number of the first pair of axes these panels take
 * @param units of the steps, if they are Hounsfield's
 */
export function addSeams(
  drawing: Drawing,
  profiles: readonly NamedSeamProfile[],
  firstPanel: number,
  y: Span = [0, 1],
  units?: string,
): void {
  const axesShown = axisNames.filter((axis) => profiles.some((profile) => profile.axis === axis));
  const candidates = [...new Set(profiles.map(({ name }) => name))].filter((name) => !isReference(name));
  spans(axesShown.length, 0.07).forEach((x, i) => {
    const xAxis = { title: 'voxels from the border', zerolinecolor: ink };
    const title = i > 0 ? '' : units === 'HU' ? 'mean step, HU' : 'mean step';
    const axes = drawing.addGraph(firstPanel + i, '', { x, y }, xAxis, {
      title,
      rangemode: 'tozero',
      nticks: 5,
    });
    drawing.annotations.push(heading(`seam across ${axesShown[i]}`, x[0], y[1]));
    for (const { name, axis, offsets, jump } of profiles) {
      if (axis !== axesShown[i]) continue;
      drawing.data.push(
        lineTrace(name, offsets, jump.map(short), {
          ...axes,
          legendgroup: name,
          showlegend: i === 0,
          line: lineOf(name, candidates),
          marker: { size: 4 },
          hovertemplate: `%{x} voxels from the border<br><b>%{y}</b><extra>${name}</extra>`,
        }),
      );
    }
  });
}

/** The reference is the dashed grey line that the others are judged by. */
function lineOf(name: string, candidates: readonly string[]): Layout {
  if (isReference(name)) return { color: ink, width: 1.5, dash: 'dash' };
  const at = candidates.indexOf(name);
  return { color: color(at), width: layeredWidth(at, candidates.length) };
}

function isReference(name: string): boolean {
  return /^(reference|original)$/i.test(name);
}
