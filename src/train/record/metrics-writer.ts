import { existsSync, statSync, truncateSync } from 'node:fs';
import { appendWhole, syncPath } from '../../atomic-file';
import type { MetricRecord } from './metrics-log';
import { type LaterPart, partAfter, wholeBytes } from './metrics-tail';

/** The writer of `metrics.jsonl`; rank 0 holds the only one. Records that are already there are not written twice. */
export class MetricsLog {
  private bytes = 0;
  /** What the log held of later steps when it was opened. */
  readonly later: LaterPart;

  /**
   * Opens or creates the log; what a dead writer left of a torn last line is cut off.
   * @param after the step that the run goes on from
   * @param repeats whether the steps after it come again as they were; if not, their records are cut off too
   */
  constructor(
    readonly path: string,
    after = 0,
    repeats = true,
  ) {
    this.later = { offset: 0, lastStep: { train: after, validation: after }, damaged: 0 };
    if (!existsSync(path)) return;
    const later = partAfter(path, after);
    this.later = repeats ? later : { ...later, lastStep: this.later.lastStep };
    this.bytes = repeats ? wholeBytes(path) : later.offset;
    if (statSync(path).size > this.bytes) truncateSync(path, this.bytes);
  }

  /**
   * Appends one line. A run that restarted from a checkpoint repeats the steps after it to the bit, so a record of
   * a step that the log has seen is dropped: none is lost and none doubled. Says whether it was written.
   */
  append(record: MetricRecord): boolean {
    const { lastStep } = this.later;
    if (record.step <= lastStep[record.split]) return false;
    const line = `${JSON.stringify(record)}\n`;
    appendWhole(this.path, line, this.bytes);
    this.bytes += Buffer.byteLength(line);
    lastStep[record.split] = record.step;
    return true;
  }

  /** Waits until all records are on the disk; returns their bytes. */
  sync(): number {
    if (this.bytes > 0) syncPath(this.path);
    return this.bytes;
  }
}
