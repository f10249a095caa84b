import { readdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { appendWhole, replaceFile } from '../../atomic-file';
import { message } from '../../protobuf';
import { crc32c } from '../../volume/crc32c';
import { type MeasureName, measureOf, measureTitle } from '../settings/measures';
import type { MetricRecord } from './metrics-log';

const eventFile = /^events\.out\.tfevents\.(\d+)\./;

/**
 * A run's metrics as TensorBoard reads them: scalars named by split and measure, `train/codes in use, %`, in event files, which are TFRecord files of
 * `Event` messages (tensorflow/core/util/event.proto, framework/summary.proto). Every life of a run has a file of its
 * own. Earlier files stay: a TensorBoard that has one open reads it to its end and then goes on with the next.
 */
export class TensorboardEvents {
  /** Whether there was no file of an earlier life. */
  readonly isFirst: boolean;
  private readonly path: string;
  private bytes: number;

  /** @param after the step that the run goes on from; what earlier files say of later steps no longer counts */
  constructor(runDir: string, after: number) {
    const earlier = readdirSync(runDir).flatMap((name) => eventFile.exec(name)?.[1] ?? []);
    this.isFirst = earlier.length === 0;
    // TensorBoard reads the files in the order of their names.
    const seconds = Math.max(Math.floor(Date.now() / 1000), ...earlier.map((time) => Number(time) + 1));
    this.path = join(runDir, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.0`);
    const begin = [framed(message([1, { double: seconds }], [3, 'brain.Event:2']))];
    // A `SessionLog` of status START: a reader forgets what it has seen of this step and later ones.
    const start = message([1, { double: seconds }], [2, after + 1], [7, message([1, 1])]);
    if (!this.isFirst) begin.push(framed(start));
    const bytes = Buffer.concat(begin);
    replaceFile(this.path, bytes);
    this.bytes = bytes.length;
  }

  append(...records: readonly MetricRecord[]): void {
    const events = Buffer.concat(records.map(eventOf));
    appendWhole(this.path, events, this.bytes);
    this.bytes += events.length;
  }
}

/** One event with a scalar for every measure of a record; one for every rank or part where a measure has several. */
function eventOf({ step, epoch, time, split, ...measures }: MetricRecord): Buffer {
  const scalars = Object.entries({ ...measures, epoch }).flatMap(([name, value]) => {
    const tag = `${split}/${measureTitle(name as MeasureName)}`;
    const { times = 1 } = measureOf(name as MeasureName);
    if (typeof value === 'number') return [scalar(tag, times * value)];
    if (Array.isArray(value))
      return value.map((each: number, rank) => scalar(`${tag}/rank${rank}`, times * each));
    return Object.entries(value ?? {}).map(([part, each]) =>
      scalar(`${tag}/${part}`, times * (each as number)),
    );
  });
  const seconds = Date.parse(time) / 1000;
  return framed(message([1, { double: seconds }], [2, step], [5, message([1, scalars])]));
}

/** A `Summary.Value`: tag and simple_value. */
function scalar(tag: string, value: number): Buffer {
  return message([1, tag], [2, { float: value }]);
}

/** A TFRecord: length, its masked CRC-32C, the bytes, theirs. */
function framed(data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(data.length));
  head.writeUInt32LE(maskedCrc(head.subarray(0, 8)), 8);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(maskedCrc(data));
  return Buffer.concat([head, data, tail]);
}

/** TensorFlow rotates and shifts checksums, so that a checksum of bytes with checksums in them stays good. */
function maskedCrc(data: Uint8Array): number {
  const crc = crc32c(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
