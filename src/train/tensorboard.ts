import { appendFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { crc32c } from '../volume/store/crc32c';
import type { MetricRecord } from './metrics-log';

const prefix = 'events.out.tfevents.';

/**
 * A run's metrics as TensorBoard reads them: scalars named `split/measure` in one event file, a TFRecord file of
 * `Event` messages (tensorflow/core/util/event.proto, framework/summary.proto). Every life of a run writes its file
 * anew from the metrics log, so the two never disagree; the files of earlier lives go.
 */
export class TensorboardEvents {
  private readonly path: string;
  private bytes: number;

  /** Starts the file with the records there are so far. */
  constructor(runDir: string, records: readonly MetricRecord[]) {
    const earlier = readdirSync(runDir).filter((name) => name.startsWith(prefix));
    const seconds = Math.floor(Date.now() / 1000);
    const name = `${prefix}${seconds}.${hostname()}.${process.pid}.0`;
    this.path = join(runDir, name);
    const version = message(double(1, seconds), text(3, 'brain.Event:2'));
    const bytes = Buffer.concat([framed(version), ...records.map(eventOf)]);
    writeFileSync(this.path, bytes);
    this.bytes = bytes.length;
    for (const old of earlier) if (old !== name) rmSync(join(runDir, old), { force: true });
  }

  append(record: MetricRecord): void {
    const event = eventOf(record);
    try {
      appendFileSync(this.path, event);
    } catch (error) {
      // Half an event on a full disk.
      truncateSync(this.path, this.bytes);
      throw error;
    }
    this.bytes += event.length;
  }
}

/** One event with a scalar for every measure of a record; one for every rank or part where a measure has several. */
function eventOf({ step, epoch, time, split, ...measures }: MetricRecord): Buffer {
  const scalars = Object.entries({ ...measures, epoch }).flatMap(([name, value]) => {
    const tag = `${split}/${name}`;
    if (typeof value === 'number') return [scalar(tag, value)];
    if (Array.isArray(value)) return value.map((each: number, rank) => scalar(`${tag}/rank${rank}`, each));
    return Object.entries(value ?? {}).map(([part, each]) => scalar(`${tag}/${part}`, each as number));
  });
  return framed(
    message(double(1, Date.parse(time) / 1000), integer(2, step), bytes(5, Buffer.concat(scalars))),
  );
}

/** A `Summary.Value` inside its `Summary`: tag and simple_value. */
function scalar(tag: string, value: number): Buffer {
  return bytes(1, message(text(1, tag), float(2, value)));
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

// The wire format of protocol buffers: a field is its number and wire type, then its value.
const message = (...fields: readonly Buffer[]): Buffer => Buffer.concat(fields);
const key = (field: number, wireType: number): Buffer => Buffer.of((field << 3) | wireType);
const text = (field: number, value: string): Buffer => bytes(field, Buffer.from(value));

function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([key(field, 2), varint(value.length), value]);
}

function integer(field: number, value: number): Buffer {
  return Buffer.concat([key(field, 0), varint(value)]);
}

function double(field: number, value: number): Buffer {
  const encoded = Buffer.alloc(8);
  encoded.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), encoded]);
}

function float(field: number, value: number): Buffer {
  const encoded = Buffer.alloc(4);
  encoded.writeFloatLE(value);
  return Buffer.concat([key(field, 5), encoded]);
}

/** Seven bits a byte, lowest first; whole numbers from 0 to 2^53. */
function varint(value: number): Buffer {
  const encoded: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) encoded.push((rest % 128) | 128);
  encoded.push(rest);
  return Buffer.from(encoded);
}
