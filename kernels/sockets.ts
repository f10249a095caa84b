/**
 * The five sockets of the kernel. Shell, iopub and stdin live on the main thread, where cells run; control and
 * heartbeat live on a worker thread (control-thread.ts), so that a cell which never yields can still be
 * interrupted and the kernel still counts as alive.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Publisher, Router } from 'zeromq';
import { addressOf, type Connection } from './connection';
import type { FromControl, ToControl } from './control-thread';
import type { Interrupts } from './interrupts';
import { isDropped, type Message, type Outgoing, type Wire } from './wire';

export type RequestChannel = 'shell' | 'control' | 'stdin';

/**
 * zeromq.js refuses a send while another waits, and a cell that prints in a loop awaits none of its sends: so no
 * send may wait. Without a high water mark every one of them succeeds at once.
 */
const NEVER_WAIT = { sendTimeout: 0, sendHighWaterMark: 0 };

/** How long the end of the process waits for the control thread. */
const CONTROL_CLOSE_MS = 500;

export class Sockets {
  readonly #iopub = new Publisher(NEVER_WAIT);
  readonly #shell = new Router(NEVER_WAIT);
  readonly #stdin = new Router(NEVER_WAIT);
  #control: Worker | undefined;

  constructor(
    readonly wire: Wire,
    private readonly interrupts: Interrupts,
    private readonly log: (line: string) => void,
  ) {}

  /** Binds every socket, then hands each verified message to `onMessage`; what is malformed is logged and dropped. */
  async bind(
    connection: Connection,
    onMessage: (channel: RequestChannel, message: Message) => void,
  ): Promise<void> {
    await this.#iopub.bind(addressOf(connection, 'iopub'));
    await this.#stdin.bind(addressOf(connection, 'stdin'));
    const receive = (channel: RequestChannel, frames: readonly Uint8Array[]): void => {
      const message = this.wire.decode(frames);
      if (isDropped(message)) this.log(`dropped a ${channel} message: ${message.dropped}`);
      else onMessage(channel, message);
    };
    await this.#startControl(connection, (frames) => receive('control', frames));
    await this.#shell.bind(addressOf(connection, 'shell'));
    void this.#listen(this.#shell, (frames) => receive('shell', frames));
    void this.#listen(this.#stdin, (frames) => receive('stdin', frames));
  }

  publish(message: Outgoing): void {
    const topic = Buffer.from(`kernel.${this.wire.session}.${message.type}`);
    this.#send(this.#iopub, this.wire.encode({ ...message, identities: [topic] }));
  }

  send(channel: RequestChannel, message: Outgoing): void {
    const frames = this.wire.encode(message);
    if (channel === 'control') this.#control?.postMessage({ send: frames } satisfies ToControl);
    else this.#send(channel === 'shell' ? this.#shell : this.#stdin, frames);
  }

  /**
   * Closes every socket, at the very end of the process and so without awaiting anything. The control thread closes
   * its own: zeromq aborts the process if a thread is stopped while one of its sockets waits for messages.
   */
  close(): void {
    const closed = new Int32Array(new SharedArrayBuffer(4));
    this.#control?.postMessage({ close: closed } satisfies ToControl);
    if (this.#control) Atomics.wait(closed, 0, 0, CONTROL_CLOSE_MS);
    for (const socket of [this.#shell, this.#stdin, this.#iopub]) socket.close();
  }

  #send(socket: Publisher | Router, frames: Uint8Array[]): void {
    socket.send(frames).catch((error: Error) => this.log(`a message was not sent: ${error.message}`));
  }

  async #listen(socket: Router, receive: (frames: Uint8Array[]) => void): Promise<void> {
    for await (const frames of socket) receive(frames);
  }

  #startControl(connection: Connection, receive: (frames: readonly Uint8Array[]) => void): Promise<void> {
    const control = new Worker(join(__dirname, 'control-thread.js'), {
      workerData: {
        key: connection.key,
        control: addressOf(connection, 'control'),
        heartbeat: addressOf(connection, 'hb'),
        interrupts: this.interrupts.flags,
      },
      stdout: true, // a worker's streams pass through the main thread's, which belong to cells
      stderr: true,
    });
    this.#control = control;
    return new Promise((resolve, reject) => {
      control.on('message', (message: FromControl) => {
        if ('ready' in message) resolve();
        else receive(message.received);
      });
      control.on('error', (error) => {
        this.log(`the control thread failed: ${error.message}`);
        reject(error);
      });
    });
  }
}
