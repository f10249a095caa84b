import { short } from '../encode';
import type { ShownRecord } from '../shown';

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

/** Each of these is there once it has something to show. */
export const morePanels = [
  { key: 'parts', title: 'parts of the loss', isOptional: true },
  { key: 'ssim', title: 'SSIM', isOptional: true },
  { key: 'gpuByRank', title: 'GPU busy by rank, %', isOptional: true },
] as const;

export type PanelKey =
  | (typeof runPanels)[number]['key']
  | (typeof adversarialPanels)[number]['key']
  | (typeof morePanels)[number]['key'];

/** Of several runs in one figure, the one that a line belongs to. */
export interface RunOfLine {
  readonly number: number;
  readonly id: string;
}

/** One line of the figure. `key` stays the same while the run goes on: a live figure appends to it. */
export interface Series {
  readonly key: string;
  readonly panel: PanelKey;
  readonly name: string;
  /** Set where the figure shows several runs. */
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
  const add = (panel: PanelKey, name: string, value: unknown): void => {
    if (typeof value !== 'number') return;
    // Plotly makes a CSS selector of it.
    const key = `${run ? `run${run.number}-` : ''}${panel}-${name.replace(/\W+/g, '-')}`;
    let line = lines.get(key);
    if (!line) {
      line = { key, panel, name, ...(run && { run }), x: [], y: [] };
      lines.set(key, line);
    }
    const y = short(value);
    line.x.push(record.step);
    line.y.push(y);
    added.push({ key, x: record.step, y });
  };
  add('loss', record.split, record.loss);
  add('psnr', record.split, record.psnr);
  add('ssim', record.split, record.ssim);
  add('perplexity', record.split, record.perplexity);
  const usage = record.usage;
  add('usage', record.split, typeof usage === 'number' ? usage * 100 : undefined);
  if (record.split === 'train') add('patchesPerSecond', 'train', record.patchesPerSecond);
  if (run) return added; // parts, ranks and GPUs of several runs would be a tangle
  add('adversarial', 'generator', record.adversarial);
  add('adversarial', 'discriminators', record.discriminator);
  add('logits', 'real', record.logitsReal);
  add('logits', 'reconstructed', record.logitsFake);
  add('features', 'feature matching', record.features);
  add('features', 'perceptual', record.perceptual);
  const suffix = record.split === 'train' ? '' : ', validation';
  add('parts', `reconstruction${suffix}`, record.reconstruction);
  add('parts', `commitment${suffix}`, record.commitment);
  for (const [rank, busy] of record.gpuByRank?.entries() ?? []) add('gpuByRank', `rank ${rank}`, busy);
  for (const [rank, seconds] of record.secondsByRank?.entries() ?? [])
    add('secondsByRank', `rank ${rank}`, seconds);
  return added;
}
