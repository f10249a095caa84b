import type { MetricRecord } from '../../train/record/metrics-log';
import {
  type MeasureName,
  measureNames,
  measureOf,
  measureTitle,
  type Panel,
  panelOf,
} from '../../train/settings/measures';
import { short } from '../base/encode';
import type { ShownRecord } from '../base/shown';
import { follow, type RunningMean } from './running-mean';

/** All panels of a run's figure, row after row: the first four, then the others. */
export const runPanels: readonly Panel[] = [true, false].flatMap((isFirst) => {
  const panels = measureNames
    .flatMap((name) => panelOf(name) ?? [])
    .filter(({ first = false }) => first === isFirst);
  return panels.filter(({ key }, i) => panels.findIndex((panel) => panel.key === key) === i);
});

/** Of several runs in one figure, the one that a line belongs to. */
export interface RunOfLine {
  readonly number: number;
  readonly id: string;
}

/** One line of the figure. `key` stays the same while the run goes on: a live figure appends to it. */
export interface Series {
  readonly key: string;
  readonly panel: string;
  readonly measure: MeasureName;
  readonly split: MetricRecord['split'];
  readonly name: string;
  /** Set if the figure shows several runs. */
  readonly run?: RunOfLine;
  /** Set if the line is smooth: what its next point follows from. The line with each step's value is another one. */
  readonly mean?: RunningMean;
  readonly x: number[];
  readonly y: (number | null)[];
}

/** A point that a record adds to a line. */
export interface NewPoint {
  readonly key: string;
  readonly x: number;
  readonly y: number | null;
}

/** The lines of a run's records, each in the order of its steps. */
export function seriesOf(records: readonly ShownRecord[]): Series[] {
  const lines = new Map<string, Series>();
  for (const record of records) appendRecord(lines, record);
  return [...lines.values()];
}

/** Adds one record to its lines, and makes the lines that are new; returns what was added. */
export function appendRecord(
  lines: Map<string, Series>,
  record: ShownRecord,
  run?: RunOfLine,
): readonly NewPoint[] {
  const added: NewPoint[] = [];
  const { step, split } = record;
  const append = (line: Series, y: number | null): void => {
    line.x.push(step);
    line.y.push(short(y));
    added.push({ key: line.key, x: step, y: line.y.at(-1)! });
  };
  for (const measure of measureNames) {
    const panel = panelOf(measure)?.key;
    if (panel === undefined) continue;
    const { times = 1, parts, byRank } = measureOf(measure);
    if (run && (parts || byRank || !panelOf(measure)?.first)) continue; // of several runs a tangle
    for (const { of, name, value } of linesOf(measure, record)) {
      const key = `${run ? `run${run.number}-` : ''}${measure}-${of}`;
      const made = (own: string): Series => {
        const isMean = own !== key;
        const line = lines.get(own) ?? {
          ...{ key: own, panel, measure, split, name, ...(run && { run }), x: [], y: [] },
          ...(isMean && { mean: { value: 0, count: 0 } }),
        };
        lines.set(own, line);
        return line;
      };
      const y = Number.isFinite(value) ? value * times : null;
      append(made(key), y);
      if (split === 'train') {
        const smooth = made(`${key}-mean`);
        append(smooth, follow(smooth.mean!, y));
      }
    }
  }
  return added;
}

/**
 * What a record has for the lines of a measure, which are of a split or of a rank. Alone in its panel a line is named after
 * the split.
 */
function linesOf(measure: MeasureName, { split, [measure]: value }: ShownRecord) {
  const { panel, line = measureTitle(measure), split: only } = measureOf(measure);
  if (Array.isArray(value))
    return value.map((each: number, rank) => ({ of: `rank-${rank}`, name: `rank ${rank}`, value: each }));
  if (typeof value !== 'number') return [];
  if (typeof panel !== 'string') return [{ of: split, name: split, value }];
  return [{ of: split, name: split === 'train' || only ? line : `${line}, validation`, value }];
}

/** The measures of a panel, in the order of their colours. */
export function measuresOf(panel: string): readonly MeasureName[] {
  return measureNames.filter((name) => panelOf(name)?.key === panel);
}
