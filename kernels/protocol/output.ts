/**
 * What cells print and the displays they update. Printed text goes into memory that the sending thread reads
 * (iopub.ts), so a cell that never yields is heard at once, and what it printed outlives its process. Updates of
 * displays are gathered for 30 ms, so a loop that updates a figure a thousand times a second sends a few messages.
 * Order is kept: everything gathered leaves before any other message of a cell does.
 */
import { SharedText } from './shared-text';
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

export interface OutputSink {
  readonly print: (printed: Printed) => void;
  readonly publish: Publish;
  /** Tells of an update that could not be sent. */
  readonly onError: (error: unknown, parent: Parent) => void;
}

const GATHER_MS = 30;

export class Output {
  /** Where the stream that printed last goes on. */
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
        this.sink.onError(error, parent); // it cannot be said in JSON; the other displays do not wait for it
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
