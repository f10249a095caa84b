import { type FSWatcher, watch } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { type MetricRecord, parseRecord } from './metrics-log';

/** Lines of a log that are no records. */
interface DamagedLines {
  readonly count: number;
  /** Number of the first one, from 1, and how it begins. */
  readonly line: number;
  readonly text: string;
}

/** Bytes that are read at a time: a log may be larger than memory, and than any string. */
const pieceBytes = 2 ** 20;
/** A line longer than this is damaged. */
export const longestLine = 2 ** 24;
export const newline = 0x0a;

/** Reads a metrics log from its beginning, piece by piece, and goes on where it stopped. */
export class MetricsReader {
  /** What was left out so far. */
  damaged: DamagedLines | undefined;
  private line = 0;
  /** Inside a line that is too long to be a record. */
  private inside = false;

  /** @param offset bytes of the log that are left out: whole lines */
  constructor(
    private readonly path: string,
    private offset = 0,
  ) {}

  /** The whole lines that were not read yet, a piece of the file at a time. No file yet means no records. */
  async *read(): AsyncGenerator<MetricRecord[], void, undefined> {
    const file = await open(this.path, 'r').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    if (!file) return;
    try {
      // What a writer has cut off comes again; it was read before.
      this.offset = Math.min(this.offset, (await file.stat()).size);
      for (let buffer = Buffer.allocUnsafe(pieceBytes); ; ) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, this.offset);
        const whole = buffer.subarray(0, bytesRead).lastIndexOf(newline) + 1;
        if (whole > 0) {
          const records = this.parse(buffer.toString('utf8', 0, whole));
          this.offset += whole;
          yield records;
        } else if (bytesRead < buffer.length) return;
        else if (buffer.length < longestLine) buffer = Buffer.allocUnsafe(2 * buffer.length);
        else this.passOver(buffer);
      }
    } finally {
      await file.close();
    }
  }

  private parse(text: string): MetricRecord[] {
    const lines = text.split('\n').slice(0, -1);
    if (this.inside) lines.shift();
    this.inside = false;
    return lines.flatMap((line) => {
      this.line++;
      const record = parseRecord(line);
      if (!record && line.trim() !== '') this.leaveOut(line);
      return record ?? [];
    });
  }

  private passOver(piece: Buffer): void {
    this.offset += piece.length;
    if (this.inside) return;
    this.inside = true;
    this.line++;
    this.leaveOut(piece.toString('latin1', 0, 100));
  }

  private leaveOut(text: string): void {
    const { count, ...first } = this.damaged ?? { count: 0, line: this.line, text: text.slice(0, 40) };
    this.damaged = { ...first, count: count + 1 };
  }
}

/** All records so far, without damaged lines, which are named on the console. No file yet means no records. */
export async function readMetrics(path: string): Promise<MetricRecord[]> {
  const reader = new MetricsReader(path);
  const all: MetricRecord[] = [];
  for await (const records of reader.read()) for (const record of records) all.push(record);
  if (reader.damaged) console.warn(describeDamage(path, reader.damaged));
  return all;
}

/**
 * Every record from the first, then new ones as they are written, until `ended` says that nothing more will come.
 * Damaged lines are left out and named on the console.
 * @param options.caughtUp called once, when all records so far have been given
 * @throws the signal's reason when it is aborted.
 */
export async function* followMetrics(
  path: string,
  options: { ended: () => Promise<boolean>; signal?: AbortSignal; caughtUp?: () => void },
): AsyncGenerator<MetricRecord, void, undefined> {
  const { ended, signal, caughtUp } = options;
  const reader = new MetricsReader(path);
  let named = 0;
  for (let first = true; ; first = false) {
    signal?.throwIfAborted();
    // Asked before reading: what was written before the end is then read for sure.
    const last = await ended();
    for await (const records of reader.read()) {
      signal?.throwIfAborted();
      yield* records;
    }
    if (reader.damaged && reader.damaged.count > named) console.warn(describeDamage(path, reader.damaged));
    named = reader.damaged?.count ?? 0;
    if (first) caughtUp?.();
    if (last) return;
    await changed(path, 250, signal);
  }
}

export function describeDamage(path: string, { count, line, text }: DamagedLines): string {
  const lines = count === 1 ? 'a damaged line is' : `${count} damaged lines are`;
  const first = count === 1 ? 'line' : 'the first is line';
  return `${basename(path)}: ${lines} left out, ${first} ${line}: ${JSON.stringify(text)}`;
}

/**
 * Resolves when something in the file's folder changes, or after `atMost` milliseconds: network folders and containers do
 * not always tell of a change. Rejects with the signal's reason when it is aborted.
 */
export function changed(path: string, atMost: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let watcher: FSWatcher | undefined;
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      watcher?.close();
      signal?.removeEventListener('abort', abort);
      settle();
    };
    const abort = () => finish(() => reject(signal?.reason));
    const timer = setTimeout(() => finish(resolve), atMost);
    try {
      watcher = watch(dirname(path), () => finish(resolve));
      watcher.on('error', () => watcher?.close());
    } catch {
      // No folder yet, or no watches left on this machine: the timer alone then.
    }
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}
