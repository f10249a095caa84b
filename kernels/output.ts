/**
 * What cells print and the displays they update, gathered for 30 ms so that a loop which prints 100,000 lines or
 * updates a figure a thousand times a second sends a few messages. Order is kept: everything gathered leaves before
 * any other message of a cell does.
 */
import type { Header, Json } from './wire';

export type StreamName = 'stdout' | 'stderr';
export type Parent = Partial<Header>;
export type Publish = (type: string, content: Json, parent: Parent) => void;

const GATHER_MS = 30;
/** A cell that never yields cannot run the timer; past this much text it is sent without it, so memory stays flat. */
const GATHER_CHARACTERS = 1 << 18;

interface Gathered {
  readonly name: StreamName;
  readonly parent: Parent;
  text: string;
}

export class Output {
  #streams: Gathered[] = [];
  readonly #updates = new Map<string, { content: Json; parent: Parent }>();
  #characters = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly publish: Publish) {}

  write(name: StreamName, text: string, parent: Parent): void {
    const last = this.#streams.at(-1);
    if (last?.name === name && last.parent.msg_id === parent.msg_id) last.text += text;
    else this.#streams.push({ name, parent, text });
    this.#characters += text.length;
    if (this.#characters >= GATHER_CHARACTERS) this.flush();
    else this.#schedule();
  }

  /** Replaces the display `id` soon; of several updates in 30 ms only the last is sent. */
  update(id: string, content: Json, parent: Parent): void {
    this.#updates.set(id, { content, parent });
    this.#schedule();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const streams = this.#streams;
    const updates = [...this.#updates.values()];
    this.#streams = [];
    this.#characters = 0;
    this.#updates.clear();
    for (const { name, text, parent } of streams) this.publish('stream', { name, text }, parent);
    for (const { content, parent } of updates) this.publish('update_display_data', content, parent);
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.flush(), GATHER_MS);
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
