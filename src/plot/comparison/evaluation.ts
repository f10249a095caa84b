import type { Evaluation } from '../../evaluate/evaluate';
import { shownMetrics } from '../../evaluate/metrics';
import type { RunSide } from '../../train/data/sides';
import { meanText, metricLabel, metricText } from '../base/metric-text';
import { type Cell, Table } from '../base/table';

const sideWords: Record<RunSide, string> = {
  train: 'trained on',
  part: 'trained on in part',
  validation: 'validation',
  test: 'test',
};

/**
 * An evaluation as tables: a row for every volume and window, then the means by window, and what a reader must know of
 * them. `patchwise evaluate` prints the same.
 */
export function evaluationTables({ rows, aggregate, notes, checkpoint }: Evaluation): Table[] {
  const metrics = shownMetrics.filter(({ key }) => rows.some((row) => row[key] !== undefined));
  const units = new Set(rows.map((row) => row.units));
  const label = ({ key }: (typeof metrics)[number]) =>
    metricLabel(key, units.size === 1 ? [...units][0]! : 'file');
  const volumes = new Set(rows.map(({ file }) => file)).size;
  const measured = new Table({
    caption: `step ${checkpoint.step}, ${checkpoint.why}`,
    columns: ['volume', 'in the run', 'window', ...metrics.map(label)],
    rows: rows.map((row): Cell[] => [
      row.file,
      row.side ? sideWords[row.side] : '-',
      row.name,
      ...metrics.map(({ key }) => metricText(key, row[key])),
    ]),
  });
  const has = aggregate.flatMap((row) => Object.values(row.metrics));
  const intervals = has.some(({ low }) => !Number.isNaN(low)) ? ' [95 % interval]' : '';
  const means = new Table({
    caption: `mean over ${volumes} volumes${intervals}`,
    columns: ['window', ...metrics.map(label)],
    rows: aggregate.map((row): Cell[] => [
      row.name,
      ...metrics.map(({ key }) => meanText(key, row.metrics[key], volumes)),
    ]),
  });
  return [measured, ...(volumes > 1 ? [means] : []), ...notesTable(notes)];
}

/** Notes for the reader as a table of one column; no table without notes. */
export function notesTable(notes: readonly string[]): Table[] {
  if (notes.length === 0) return [];
  return [new Table({ columns: ['what to keep in mind'], rows: notes.map((note) => [note]) })];
}
