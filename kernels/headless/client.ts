/** A small Jupyter client: starts our kernel as a child process on loopback and talks to it over the wire. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Dealer, Request, Subscriber } from 'zeromq';
import { ADDRESS_IN_USE, addressOf } from '../protocol/connection';
import { isDropped, type Json, type Message, Wire } from '../protocol/wire';
import { type KernelExit, KernelProcess, type KernelProcessOptions } from './kernel-process';

interface KernelClientOptions extends KernelProcessOptions {
  /** How long the kernel may take to answer for the first time. */
  readonly startTimeoutMs?: number;
  /** How long the kernel may leave a heartbeat unanswered, twice in turn; a cell that is busy answers at once. */
  readonly heartTimeoutMs?: number;
}

type RequestSocket = 'shell' | 'control' | 'stdin';

const START_TIMEOUT_MS = 30_000;
const SHUTDOWN_TIMEOUT_MS = 4000;
const HEART_TIMEOUT_MS = 30_000;
/** Between our finding free ports and the kernel's binding them another process may take one. */
const START_ATTEMPTS = 3;

export class KernelClient {
  /** Every message on iopub goes through here. */
  onOutput: (message: Message) => void = () => {};
  /** A question of the kernel; resolves with the answer. */
  onInput: ((prompt: string, password: boolean) => Promise<string>) | undefined;
  readonly #wire: Wire;
  readonly #sockets: Record<RequestSocket, Dealer>;
  readonly #iopub = new Subscriber();
  readonly #replies = new Map<string, (reply: Message) => void>();
  readonly #idle = new Map<string, () => void>();
  #isSilent = false;
  #isClosed = false;

  private constructor(readonly process: KernelProcess) {
    this.#wire = new Wire(process.connection.key, 'patchwise');
    const routingId = this.#wire.session; // the kernel asks on stdin whom it knows from shell
    const socket = (): Dealer => new Dealer({ routingId, linger: 0, sendTimeout: 0, sendHighWaterMark: 0 });
    this.#sockets = { shell: socket(), control: socket(), stdin: socket() };
  }

  /** Starts a kernel and returns once it answers. Fails where it ends or stays silent for `startTimeoutMs`. */
  static async start(options: KernelClientOptions): Promise<KernelClient> {
    for (let attempt = 1; ; attempt++) {
      const client = new KernelClient(await KernelProcess.start(options));
      try {
        await client.#connect(options.startTimeoutMs ?? START_TIMEOUT_MS);
        void client.#watchHeart(options.heartTimeoutMs ?? HEART_TIMEOUT_MS);
        return client;
      } catch (error) {
        const { code } = await client.process.exited;
        if (code !== ADDRESS_IN_USE || attempt === START_ATTEMPTS) throw error;
      }
    }
  }

  /** Sends a request and resolves with its reply. Fails where the kernel ends first. */
  async request(
    type: string,
    content: Json = {},
    channel: 'shell' | 'control' = 'shell',
    buffers: readonly Uint8Array[] = [],
  ): Promise<Message> {
    const id = this.send(type, content, channel, buffers);
    return this.#orDeath(new Promise((resolve) => this.#replies.set(id, resolve)));
  }

  /** Runs code and resolves with the reply, once all output of the cell itself has been through `onOutput`. */
  async execute(
    code: string,
    options: { onSent?: (id: string) => void; content?: Json } = {},
  ): Promise<Message> {
    const content = { code, silent: false, allow_stdin: this.onInput !== undefined, ...options.content };
    const id = this.send('execute_request', content, 'shell');
    options.onSent?.(id);
    const idle = new Promise<void>((resolve) => this.#idle.set(id, resolve));
    const reply = new Promise<Message>((resolve) => this.#replies.set(id, resolve));
    const [message] = await this.#orDeath(Promise.all([reply, idle]));
    return message;
  }

  /** The frames of a message, signed: for a test that breaks them. */
  frames(type: string, content: Json): Uint8Array[] {
    return this.#wire.encode({ type, content });
  }

  /** Sends frames as they are. */
  sendFrames(channel: RequestSocket, frames: Uint8Array[]): void {
    this.#sockets[channel].send(frames).catch(() => {});
  }

  /** Sends a message and returns its id. */
  send(type: string, content: Json, channel: RequestSocket, buffers: readonly Uint8Array[] = []): string {
    const frames = this.#wire.encode({ type, content, buffers });
    const header = JSON.parse(Buffer.from(frames[2]!).toString()) as { msg_id: string };
    this.#sockets[channel].send(frames).catch(() => {}); // a closed socket: who waits hears of the kernel's end
    return header.msg_id;
  }

  /** Asks the kernel to leave, kills it where it does not, and removes the connection file. */
  async close(): Promise<KernelExit> {
    this.#isClosed = true;
    this.send('shutdown_request', { restart: false }, 'control');
    const exit = await this.process.end(SHUTDOWN_TIMEOUT_MS);
    for (const socket of [...Object.values(this.#sockets), this.#iopub]) socket.close();
    return exit;
  }

  async #connect(timeoutMs: number): Promise<void> {
    const { connection } = this.process;
    for (const channel of ['shell', 'control', 'stdin'] as const) {
      const socket = this.#sockets[channel];
      socket.connect(addressOf(connection, channel));
      void this.#listen(socket, (message) =>
        channel === 'stdin' ? void this.#answerInput(message) : this.#settle(message),
      );
    }
    this.#iopub.connect(addressOf(connection, 'iopub'));
    this.#iopub.subscribe();
    let heard = false; // a subscription takes a moment; the first status that comes through proves it
    void this.#listen(this.#iopub, (message) => {
      heard = true;
      this.#hear(message);
    });
    try {
      const deadline = performance.now() + timeoutMs;
      const answered = this.request('kernel_info_request');
      answered.catch(() => {}); // reported by the loop below
      await Promise.race([answered, sleep(timeoutMs, undefined, { ref: false })]);
      while (!heard && performance.now() < deadline)
        await this.request('kernel_info_request').then(() => sleep(5));
      if (!heard) throw new Error(`the kernel did not answer within ${timeoutMs} ms`);
    } catch (error) {
      this.process.kill();
      await this.close();
      throw error;
    }
  }

  /** Kills a kernel that has stopped answering, so that nobody waits for it for ever. */
  async #watchHeart(timeoutMs: number): Promise<void> {
    // Twice: the first may have been missed because we ourselves were stopped.
    for (let missed = 0; missed < 2 && !this.#isClosed; ) {
      missed = (await this.#beats(timeoutMs)) ? 0 : missed + 1;
      if (missed === 0) await sleep(timeoutMs / 10, undefined, { ref: false });
    }
    if (this.#isClosed) return;
    this.#isSilent = true;
    this.process.kill();
  }

  async #beats(timeoutMs: number): Promise<boolean> {
    const heart = new Request({ linger: 0, sendTimeout: timeoutMs, receiveTimeout: timeoutMs });
    try {
      heart.connect(addressOf(this.process.connection, 'hb'));
      await heart.send('ping');
      await heart.receive();
      return true;
    } catch {
      return false;
    } finally {
      heart.close();
    }
  }

  async #listen(socket: Dealer | Subscriber, receive: (message: Message) => void): Promise<void> {
    for await (const frames of socket) {
      const message = this.#wire.decode(frames);
      if (!isDropped(message)) receive(message);
    }
  }

  #settle(reply: Message): void {
    const id = reply.parent.msg_id ?? '';
    this.#replies.get(id)?.(reply);
    this.#replies.delete(id);
  }

  #hear(message: Message): void {
    this.onOutput(message);
    const id = message.parent.msg_id ?? '';
    if (message.header.msg_type === 'status' && message.content.execution_state === 'idle') {
      this.#idle.get(id)?.();
      this.#idle.delete(id);
    }
  }

  async #answerInput({ content }: Message): Promise<void> {
    const value = await this.onInput?.(String(content.prompt), content.password === true);
    this.send('input_reply', { value: value ?? '', status: 'ok' }, 'stdin');
  }

  #orDeath<T>(work: Promise<T>): Promise<T> {
    const death = this.process.exited.then(({ code, signal, stderr }): never => {
      if (this.#isSilent) throw new Error('the kernel stopped answering, and was killed');
      throw new Error(`the kernel ended (${signal ?? `exit code ${code}`})${stderr ? `:\n${stderr}` : ''}`);
    });
    return Promise.race([work, death]);
  }
}
