/**
 * The socket that every front end listens to. It lives in the control thread, so the output of a cell leaves while the
 * cell keeps the main thread busy. Printed text is gathered for 30 ms, so a loop that prints 100,000 lines sends a few
 * messages.
 */
import { Publisher } from 'zeromq';
import type { Parent, Printed, StreamName } from './output';
import { SharedText } from './output';
import type { Outgoing, Wire } from './wire';

/**
 * zeromq.js refuses a send while another waits, and a cell that prints in a loop awaits none of its sends. So no send
 * may wait: without a high water mark each succeeds at once.
 */
export const NEVER_WAIT = { sendTimeout: 0, sendHighWaterMark: 0 };

const GATHER_MS = 30;
/** More text than this is sent without the timer, so memory stays flat. */
const GATHER_CHARACTERS = 1 << 18;

interface Gathered {
  readonly name: StreamName;
  readonly parent: Parent;
  text: string;
}

export class Iopub {
  readonly #socket = new Publisher(NEVER_WAIT);
  readonly #gathered: Gathered[] = [];
  #characters = 0;
  /** The memory announced last, to which the main thread may still append. */
  #open: SharedText | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly wire: Wire) {}

  bind(address: string): Promise<void> {
    return this.#socket.bind(address);
  }

  print({ name, parent, text }: Printed): void {
    this.#takeOpen();
    const last = this.#gathered.at(-1);
    if (last?.name !== name || last.parent.msg_id !== parent.msg_id)
      this.#gathered.push({ name, parent, text: '' });
    if (typeof text === 'string') this.#append(text);
    else this.#open = new SharedText(text);
    if (this.#characters >= GATHER_CHARACTERS) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), GATHER_MS);
  }

  /** Sends a message of the main thread, after all text printed before it. */
  send(frames: readonly Uint8Array[]): void {
    this.flush();
    void this.#socket.send(frames.map((frame) => Buffer.from(frame)));
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#takeOpen();
    this.#characters = 0;
    for (const { name, parent, text } of this.#gathered.splice(0))
      void this.#socket.send(iopubFrames(this.wire, { type: 'stream', content: { name, text }, parent }));
  }

  close(): void {
    this.flush();
    this.#socket.close();
  }

  #takeOpen(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open) this.#append(open.take());
  }

  #append(text: string): void {
    this.#gathered.at(-1)!.text += text;
    this.#characters += text.length;
  }
}

/** The frames of a message on iopub: its topic comes first. */
export function iopubFrames(wire: Wire, message: Outgoing): Uint8Array[] {
  const topic = Buffer.from(`kernel.${wire.session}.${message.type}`);
  return wire.encode({ ...message, identities: [topic] });
}
