import { short } from './encode';
import type { ShownRecord } from './shown';

/** The panels of a run's figure, row after row. */
export const runPanels = [
  { key: 'loss', title: 'loss' },
  { key: 'psnr', title: 'PSNR, dB' },
  { key: 'perplexity', title: 'perplexity' },
  { key: 'usage', title: 'codes in use, %' },
  { key: 'patchesPerSecond', title: 'patches per second' },
  { key: 'secondsByRank', title: 'step time by rank, s' },
] as const;

/** A third row, of runs with discriminators or a perceptual loss once these have something to show. */
export const adversarialPanels = [
  { key: 'adversarial', title: 'adversarial losses' },
  { key: 'logits', title: 'mean logits of real and reconstructed' },
  { key: 'features', title: 'feature matching, perceptual' },
] as const;

export type PanelKey = (typeof runPanels)[number]['key'] | (typeof adversarialPanels)[number]['key'];

/** One line of the figure. `key` stays the same while the run goes on: a live figure appends to it. */
export interface Series {
  readonly key: string;
  readonly panel: PanelKey;
  readonly name: string;
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
): { key: string; x: number; y: number | null }[] {
  const added: { key: string; x: number; y: number | null }[] = [];
  const add = (panel: PanelKey, name: string, value: unknown): void => {
    if (typeof value !== 'number') return;
    const key = `${panel}-${name.replace(' ', '-')}`; // Plotly makes a CSS selector of it
    let line = lines.get(key);
    if (!line) {
      line = { key, panel, name, x: [], y: [] };
      lines.set(key, line);
    }
    const y = short(value);
    line.x.push(record.step);
    line.y.push(y);
    added.push({ key, x: record.step, y });
  };
  add('loss', record.split, record.loss);
  add('psnr', record.split, record.psnr);
  add('perplexity', record.split, record.perplexity);
  const usage = record.usage;
  add('usage', record.split, typeof usage === 'number' ? usage * 100 : undefined);
  add('adversarial', 'generator', record.adversarial);
  add('adversarial', 'discriminators', record.discriminator);
  add('logits', 'real', record.logitsReal);
  add('logits', 'reconstructed', record.logitsFake);
  add('features', 'feature matching', record.features);
  add('features', 'perceptual', record.perceptual);
  if (record.split === 'train') add('patchesPerSecond', 'train', record.patchesPerSecond);
  for (const [rank, seconds] of record.secondsByRank?.entries() ?? [])
    add('secondsByRank', `rank ${rank}`, seconds);
  return added;
}
