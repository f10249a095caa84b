/**
 * What cells print and the displays they update. Printed text goes into memory that the sending thread reads
 * (iopub.ts), so text of a cell that never yields arrives at once, even if its process dies. Updates of displays are
 * gathered for 30 ms, so a loop that updates a figure a thousand times a second sends a few messages. Order is kept:
 * what is gathered leaves before any other message of a cell.
 */
import type { Header, Json } from './wire';

export type StreamName = 'stdout' | 'stderr';
export type Parent = Partial<Header>;
export type Publish = (type: string, content: Json, parent: Parent) => void;

/** Text of a cell: ready, or in memory to which the main thread still appends. */
export interface Printed {
  readonly name: StreamName;
  readonly parent: Parent;
  readonly text: string | SharedArrayBuffer;
}

interface OutputSink {
  readonly print: (printed: Printed) => void;
  readonly publish: Publish;
  /** Reports an update that could not be sent. */
  readonly onError: (error: unknown, parent: Parent) => void;
}

const GATHER_MS = 30;

export class Output {
  /** The stream that printed last, and the memory that takes more of its text. */
  #open: { readonly name: StreamName; readonly parent: Parent; readonly text: SharedText } | undefined;
  readonly #updates = new Map<string, { content: Json; parent: Parent }>();
  #updated = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly sink: OutputSink) {}

  write(name: StreamName, text: string, parent: Parent): void {
    if (text === '') return;
    const open = this.#open;
    if (open?.name !== name || open.parent.msg_id !== parent.msg_id || !open.text.append(text))
      this.#open = this.#print(name, text, parent);
    this.#sendLateUpdates();
  }

  /** Replaces the display `id` soon; of several updates in 30 ms only the last is sent. */
  update(id: string, content: Json, parent: Parent): void {
    this.#updates.set(id, { content, parent });
    this.#sendLateUpdates();
    if (this.#updates.size > 0) this.#timer ??= setTimeout(() => this.flush(), GATHER_MS);
  }

  /** Sends the updates. What is printed from now on comes after them. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#open = undefined;
    const updates = [...this.#updates.values()];
    this.#updates.clear();
    this.#updated = performance.now();
    for (const { content, parent } of updates) {
      try {
        this.sink.publish('update_display_data', content, parent);
      } catch (error) {
        this.sink.onError(error, parent); // it is not JSON; the other displays go on
      }
    }
  }

  #print(
    name: StreamName,
    text: string,
    parent: Parent,
  ): { name: StreamName; parent: Parent; text: SharedText } | undefined {
    const memory = new SharedText();
    const fits = memory.append(text);
    this.sink.print({ name, parent, text: fits ? memory.memory : text });
    return fits ? { name, parent, text: memory } : undefined;
  }

  /** A cell that never yields cannot run the timer. */
  #sendLateUpdates(): void {
    if (this.#updates.size > 0 && performance.now() - this.#updated >= GATHER_MS) this.flush();
  }
}

type WriteCallback = (error?: Error | null) => void;

/** Sends the process's own stdout and stderr through `write`. Returns the real stderr, for the kernel's log. */
export function captureStreams(write: (name: StreamName, text: string) => void): (text: string) => void {
  const log = process.stderr.write.bind(process.stderr) as (text: string) => boolean;
  const streams = { stdout: process.stdout, stderr: process.stderr };
  for (const name of ['stdout', 'stderr'] as const) {
    const decoder = new TextDecoder();
    streams[name].write = (
      chunk: Uint8Array | string,
      encoding?: BufferEncoding | WriteCallback,
      callback?: WriteCallback,
    ): boolean => {
      write(name, typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true }));
      const done = typeof encoding === 'function' ? encoding : callback;
      if (done) process.nextTick(done);
      return true;
    };
  }
  return (text) => void log(text);
}

/** Of one SharedText. */
const BYTES = 1 << 13;
const HEADER_BYTES = Int32Array.BYTES_PER_ELEMENT;
/** Replaces the length once the text has been taken. Nothing may be appended any more. */
const TAKEN = -1;

const encoder = new TextEncoder();

/** Text in memory that two threads share: one appends to it, the other takes it. */
export class SharedText {
  readonly #length: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(readonly memory = new SharedArrayBuffer(HEADER_BYTES + BYTES)) {
    this.#length = new Int32Array(memory, 0, 1);
    this.#bytes = new Uint8Array(memory, HEADER_BYTES);
  }

  /** Appends all of `text`. Returns false, and appends nothing, if there is no room or the text has been taken. */
  append(text: string): boolean {
    const length = Atomics.load(this.#length, 0);
    if (length === TAKEN || text.length > BYTES - length) return false;
    const { read, written } = encoder.encodeInto(text, this.#bytes.subarray(length));
    if (read < text.length) return false;
    return Atomics.compareExchange(this.#length, 0, length, length + written) === length;
  }

  /** All that was appended; afterwards `append` returns false. */
  take(): string {
    const length = Atomics.exchange(this.#length, 0, TAKEN);
    return length > 0 ? Buffer.from(this.memory, HEADER_BYTES, length).toString() : '';
  }
}
