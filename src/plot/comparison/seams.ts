import type { NamedSeamProfile } from '../../evaluate/compare';
import { shownMetrics } from '../../evaluate/metrics';
import { axisNames } from '../../vec3';
import { short } from '../base/encode';
import { type Layout, lineTrace, type Span, spans, type Trace } from '../base/layout';
import { metricLabel, metricText } from '../base/metric-text';
import type { ShownComparison } from '../base/shown';
import { Table } from '../base/table';
import { color, heading, ink, layeredWidth, legendAbove, SMALL } from '../base/theme';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';

/** The metrics of a comparison, a row for every candidate; columns no candidate has are left out. */
export function comparisonTable({
  metrics,
  intensity,
  notes = [],
}: Pick<ShownComparison, 'metrics' | 'intensity' | 'notes'>): Table {
  const columns = shownMetrics.filter(({ key }) => metrics.some((row) => typeof row[key] === 'number'));
  return new Table({
    ...(notes.length > 0 && { caption: notes.join('\n') }),
    columns: ['candidate', ...columns.map(({ key }) => metricLabel(key, intensity.units))],
    rows: metrics.map((row) => [row.name, ...columns.map(({ key }) => metricText(key, row[key]))]),
  });
}

/** The seam profiles alone, one panel for each axis. */
export function seamFigure(
  comparison: Pick<ShownComparison, 'seamProfiles'> & Partial<Pick<ShownComparison, 'intensity'>>,
): Figure {
  const drawing = new Drawing();
  addSeams(drawing, comparison.seamProfiles, 1, [0, 1], comparison.intensity?.units);
  const [height, t, b] = [320, 36 + SEAMS_ABOVE, 48];
  const look = { margin: { l: 56, r: 16, t, b }, legend: legendAbove(height - t - b) };
  return drawing.figure('jump between neighbouring voxels, by distance from a patch border', height, look);
}

/** Pixels above the panels for their headings, the legend and a word on the lines. */
export const SEAMS_ABOVE = 58;

/**
 * One panel for each axis that has profiles: the mean absolute jump against the offset from a border. A bump at 0
 * is a seam. A decoder jumps differently at even and at odd voxels, which hides it: where the period is known the bold
 * line is without that pattern, over the faint one as it was measured.
 *
 * @param firstPanel number of the first pair of axes these panels take
 * @param units of the jumps, if they are known
 */
export function addSeams(
  drawing: Drawing,
  profiles: readonly NamedSeamProfile[],
  firstPanel: number,
  y: Span,
  units?: string,
): void {
  const axesShown = axisNames.filter((axis) => profiles.some((profile) => profile.axis === axis));
  const candidates = [...new Set(profiles.map(({ name }) => name))].filter((name) => !isReference(name));
  const title = units ? `mean jump, ${units === 'HU' ? 'HU' : 'file units'}` : 'mean jump';
  spans(axesShown.length, 0.09).forEach((x, i) => {
    const xAxis = { title: 'voxels from the border', zerolinecolor: ink };
    const yAxis = { title, rangemode: 'tozero', nticks: 5 };
    const axes = drawing.addGraph(firstPanel + i, '', { x, y }, xAxis, yAxis);
    drawing.annotations.push(heading(`across ${axesShown[i]}`, x[0], y[1]));
    const own = profiles.filter(({ axis }) => axis === axesShown[i]);
    const lineFor = (profile: NamedSeamProfile, jump: readonly number[], isFaint: boolean): Trace => {
      const { name, offsets } = profile;
      const line = lineOf(name, candidates);
      const what = isFaint ? ', as measured' : jump === profile.jump ? '' : ", without the decoder's pattern";
      return lineTrace(name, offsets, jump.map(short), {
        ...axes,
        legendgroup: name,
        showlegend: i === 0 && !isFaint,
        ...(isFaint
          ? { mode: 'lines', opacity: 0.3, line: { ...line, width: 1 } }
          : { line, marker: { size: 4 } }),
        hovertemplate: `%{x} voxels from the border<br><b>%{y:.4~g}</b>${units === 'HU' ? ' HU' : ''}<extra>${name}${what}</extra>`,
      });
    };
    const patterned = own.filter((profile) => levelled(profile) !== profile.jump);
    drawing.data.push(
      ...patterned.map((profile) => lineFor(profile, profile.jump, true)),
      ...own.map((profile) => lineFor(profile, levelled(profile), false)),
    );
  });
  if (profiles.some((profile) => levelled(profile) !== profile.jump))
    drawing.annotations.push({
      ...heading("bold: without the decoder's own up and down · faint: as measured", 0, y[1]),
      ...{ yshift: SEAMS_ABOVE - 16, font: { size: SMALL } },
    });
}

/**
 * The jumps with those of every phase of the decoder's pattern brought to the same mean. The jump across the border
 * does not count in the means: a seam stays as high as it is.
 */
export function levelled({ offsets, jump, period = 1 }: NamedSeamProfile): readonly number[] {
  const phase = (offset: number): number => ((offset % period) + period) % period;
  const mean = (of: (offset: number) => boolean): number => {
    const values = jump.filter((value, i) => offsets[i] !== 0 && of(offsets[i]!) && Number.isFinite(value));
    return values.length > 1 ? values.reduce((sum, value) => sum + value, 0) / values.length : Number.NaN;
  };
  const all = mean(() => true);
  const means = Array.from({ length: period }, (_, own) => mean((offset) => phase(offset) === own));
  if (period < 2 || !means.every((value) => value > 0)) return jump;
  return jump.map((value, i) => (value * all) / means[phase(offsets[i]!)]!);
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
