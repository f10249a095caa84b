import type { MetricRecord } from '../../train/record/metrics-log';
import {
  type MeasureName,
  measureNames,
  measureOf,
  type Panel,
  panelOf,
} from '../../train/settings/measures';
import { short } from '../base/encode';
import type { ShownRecord } from '../base/shown';

/** All panels of a run's figure, row after row: those that are always there, the adversarial ones, the others. */
export const runPanels: readonly Panel[] = (['always', 'adversarial', 'filled'] as const).flatMap((shown) => {
  const panels = measureNames.flatMap((name) => panelOf(name) ?? []).filter((panel) => panel.shown === shown);
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
  readonly x: number[];
  readonly y: (number | null)[];
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
): { key: string; x: number; y: number | null }[] {
  const added: { key: string; x: number; y: number | null }[] = [];
  const { step, split } = record;
  for (const measure of measureNames) {
    const panel = panelOf(measure)?.key;
    if (panel === undefined) continue;
    const { times = 1 } = measureOf(measure);
    for (const [name, value] of linesOf(measure, record)) {
      if (run && name !== split) continue; // parts, ranks and GPUs of several runs would be a tangle
      // Plotly makes a CSS selector of it.
      const key = `${run ? `run${run.number}-` : ''}${panel}-${name.replace(/\W+/g, '-')}`;
      const line = lines.get(key) ?? { key, panel, measure, split, name, ...(run && { run }), x: [], y: [] };
      lines.set(key, line);
      const y = short(value * times);
      line.x.push(step);
      line.y.push(y);
      added.push({ key, x: step, y });
    }
  }
  return added;
}

/** A measure's lines by name, with what a record has for them. Alone in its panel a line is named after the split. */
function linesOf(measure: MeasureName, record: ShownRecord): [string, number][] {
  const { panel, label, line = label } = measureOf(measure);
  const value = record[measure];
  if (Array.isArray(value)) return value.map((each: number, rank) => [`rank ${rank}`, each]);
  if (typeof value !== 'number') return [];
  if (typeof panel !== 'string') return [[record.split, value]];
  return [[record.split === 'train' ? line : `${line}, validation`, value]];
}

/** The measures that share panels, in the order of their colours. */
export const sharingMeasures = measureNames.filter((name) => typeof measureOf(name).panel === 'string');
