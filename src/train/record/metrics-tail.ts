import { existsSync, fstatSync, readSync } from 'node:fs';
import { withFile } from '../../atomic-file';
import { type MetricRecord, parseRecord } from './metrics-log';
import { longestLine, newline } from './metrics-reader';

const pieceBytes = 2 ** 18;

/** Bytes of a log without a torn last line. */
export function wholeBytes(path: string): number {
  return withFile(path, 'r', lastLineEnd);
}

/** The latest records of a split, at most so many, in their order. Reads no more of the log than it must. */
export function latestRecords(path: string, split: MetricRecord['split'], most: number): MetricRecord[] {
  if (!existsSync(path)) return [];
  return withFile(path, 'r', (file) => {
    const found: MetricRecord[] = [];
    for (const { record } of linesBackward(file)) {
      if (found.length === most) break;
      if (record?.split === split) found.push(record);
    }
    return found.reverse();
  });
}

/** The part of a log that comes after a step. */
export interface LaterPart {
  /** Its first byte. */
  readonly offset: number;
  /** Latest steps by split; the step itself where there are none. */
  readonly lastStep: Record<MetricRecord['split'], number>;
  /** Damaged lines in it, or just before it. */
  readonly damaged: number;
}

/** Finds what a log holds of the steps after `step`. Steps never fall in a log, so the search ends at the first other. */
export function partAfter(path: string, step: number): LaterPart {
  return withFile(path, 'r', (file) => {
    const lastStep = { train: step, validation: step };
    let [offset, damaged] = [lastLineEnd(file), 0];
    for (const { at, record } of linesBackward(file)) {
      if (!record) damaged++;
      else if (record.step <= step) break;
      else {
        lastStep[record.split] = Math.max(lastStep[record.split], record.step);
        offset = at;
      }
    }
    return { offset, lastStep, damaged };
  });
}

/** Where the last whole line ends. */
function lastLineEnd(file: number): number {
  for (let end = fstatSync(file).size; end > 0; ) {
    const piece = readBefore(file, end, pieceBytes);
    const at = piece.lastIndexOf(newline);
    if (at >= 0) return end - piece.length + at + 1;
    end -= piece.length;
  }
  return 0;
}

/** The whole lines of a log, the last one first: the first byte, and the record; undefined where the line is damaged. */
function* linesBackward(file: number) {
  // Bytes from `start` on to the end of a line, without its newline.
  let held: Buffer = Buffer.alloc(0);
  let start = lastLineEnd(file) - 1;
  if (start < 0) return;
  for (let tooLong = false; ; ) {
    const at = held.lastIndexOf(newline);
    if (at >= 0 || start === 0) {
      const record = tooLong ? undefined : parseRecord(held.toString('utf8', at + 1));
      tooLong = false;
      yield { at: start + at + 1, record };
      if (at < 0) return;
      held = held.subarray(0, at);
      continue;
    }
    if (held.length > longestLine) {
      tooLong = true;
      held = Buffer.alloc(0);
    }
    // Larger pieces where a line is long: each piece copies what is held.
    const piece = readBefore(file, start, Math.max(pieceBytes, held.length));
    held = Buffer.concat([piece, held]);
    start -= piece.length;
  }
}

function readBefore(file: number, end: number, most: number): Buffer {
  const piece = Buffer.allocUnsafe(Math.min(most, end));
  let done = 0;
  while (done < piece.length) {
    const read = readSync(file, piece, done, piece.length - done, end - piece.length + done);
    if (read === 0) throw new Error('the file became shorter while it was read');
    done += read;
  }
  return piece;
}
