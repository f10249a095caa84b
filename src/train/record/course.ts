import type { GanConfig } from '../../model/discriminators/config';
import { phaseOf } from './best';
import type { MetricRecord } from './metrics-log';
import { describeDamage, MetricsReader } from './metrics-reader';
import { hasEnded, type RunStatus } from './status';

/** Records of a split that are kept, at most, beside the latest. */
const mostKept = 4000;

/** Every so many-th record of a split, and the latest ones. */
class Sampled {
  private readonly kept: MetricRecord[] = [];
  private latest: MetricRecord[] = [];
  private every = 1;
  private count = 0;

  add(record: MetricRecord): void {
    if (this.count++ % this.every === 0) this.kept.push(record);
    this.latest.push(record);
    if (this.latest.length > 2 * paceWindow) this.latest = this.latest.slice(-paceWindow);
    if (this.kept.length <= mostKept) return;
    this.every *= 2;
    this.kept.splice(0, this.kept.length, ...this.kept.filter((_, i) => i % 2 === 0));
  }

  get records(): MetricRecord[] {
    const [first] = this.latest;
    return first ? [...this.kept.filter(({ step }) => step < first.step), ...this.latest] : [];
  }
}

/** A run's metrics in a bounded number of records, however long its log is: its whole course, and its latest steps. */
export class RunCourse {
  private readonly splits = { train: new Sampled(), validation: new Sampled() };
  private readonly reader: MetricsReader;
  private highest: MetricRecord | undefined;

  /** @param gan of the run's config: validations from before its discriminators joined are then not the best */
  constructor(
    private readonly path: string,
    private readonly gan?: GanConfig,
  ) {
    this.reader = new MetricsReader(path);
  }

  /** Takes in what has been written since the last call. */
  async update(): Promise<void> {
    for await (const records of this.reader.read())
      for (const record of records) {
        this.splits[record.split].add(record);
        if (record.split === 'validation' && this.isBest(record)) this.highest = record;
      }
  }

  private isBest({ step, psnr }: MetricRecord): boolean {
    if (psnr === undefined) return false;
    if (!this.highest) return true;
    const phase = (of: number) => (this.gan ? phaseOf(this.gan, of) : 0);
    const later = phase(step) - phase(this.highest.step);
    return later > 0 || (later === 0 && psnr > this.highest.psnr!);
  }

  /** The validation of the highest PSNR, of those with as much of the discriminators as the run came to. */
  get best(): MetricRecord | undefined {
    return this.highest;
  }

  /** Those of training, then those of validation, each in the order of their steps. */
  get records(): MetricRecord[] {
    return [...this.splits.train.records, ...this.splits.validation.records];
  }

  last(split: MetricRecord['split']): MetricRecord | undefined {
    return this.splits[split].records.at(-1);
  }

  /** What people should know of the log: damaged lines. */
  get notice(): string | undefined {
    return this.reader.damaged && describeDamage(this.path, this.reader.damaged);
  }
}

/** How fast a run goes, and when it will be done. */
export interface Pace {
  /** Seconds, of a step alone. */
  readonly step: number;
  readonly patchesPerSecond: number;
  readonly volumesPerSecond: number;
  /** Seconds to the end, with validations and checkpoints as they have come so far; undefined once the run has ended. */
  readonly left?: number;
}

/** The pace is that of the latest training records: it changes. */
export const paceWindow = 100;

/** The pace of a run by its latest records; undefined before the second. */
export function paceOf(records: readonly MetricRecord[], status: RunStatus): Pace | undefined {
  const latest = records.filter(({ split }) => split === 'train').slice(-paceWindow);
  const [first, last] = [latest[0], latest.at(-1)];
  if (!first || !last || first === last) return undefined;
  const mean = (of: (record: MetricRecord) => number | undefined) =>
    latest.reduce((sum, record) => sum + (of(record) ?? 0), 0) / latest.length;
  // If the clock was set back between two records, the time of the step stands in.
  const wall =
    latest.slice(1).reduce((sum, record, i) => {
      const before = latest[i]!;
      const passed = (Date.parse(record.time) - Date.parse(before.time)) / 1000;
      return sum + (passed >= 0 ? passed : (record.seconds?.step ?? 0) * (record.step - before.step));
    }, 0) /
    (last.step - first.step);
  return {
    step: mean(({ seconds }) => seconds?.step),
    patchesPerSecond: mean((record) => record.patchesPerSecond),
    volumesPerSecond: mean((record) => record.volumesPerSecond),
    ...(!hasEnded(status) && status.steps > 0 && { left: wall * Math.max(0, status.steps - last.step) }),
  };
}
