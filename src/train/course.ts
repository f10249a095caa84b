import type { MetricRecord } from './metrics-log';
import { describeDamage, MetricsReader } from './metrics-reader';
import { paceWindow } from './pace';

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

  constructor(private readonly path: string) {
    this.reader = new MetricsReader(path);
  }

  /** Takes in what has been written since the last call. */
  async update(): Promise<void> {
    for await (const records of this.reader.read()) {
      for (const record of records) {
        this.splits[record.split].add(record);
        if (record.split === 'validation' && (record.psnr ?? -1e9) > (this.highest?.psnr ?? -1e9))
          this.highest = record;
      }
    }
  }

  /** Those of training, then those of validation, each in the order of their steps. */
  get records(): MetricRecord[] {
    return [...this.splits.train.records, ...this.splits.validation.records];
  }

  last(split: MetricRecord['split']): MetricRecord | undefined {
    return this.splits[split].records.at(-1);
  }

  /** The validation of the highest PSNR. */
  get best(): MetricRecord | undefined {
    return this.highest;
  }

  /** What people should know of the log: damaged lines. */
  get notice(): string | undefined {
    return this.reader.damaged && describeDamage(this.path, this.reader.damaged);
  }
}
