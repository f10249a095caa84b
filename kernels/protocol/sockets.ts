/**
 * The five sockets of the kernel. Shell and stdin live on the main thread, where cells run. Control, heartbeat and iopub
 * live on a worker thread (control-thread.ts), so that a cell which never yields can be interrupted, its output arrives,
 * and the kernel counts as alive.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Router } from 'zeromq';
import type { Interrupts } from '../process/interrupts';
import { addressOf, type Connection } from './connection';
import type { ControlData, FromControl, ToControl } from './control-thread';
import { iopubFrames, NEVER_WAIT } from './iopub';
import type { Parent, Printed } from './output';
import { isDropped, type Message, type Outgoing, type Wire } from './wire';

export type RequestChannel = 'shell' | 'control' | 'stdin';

/** A client that connects again with its old identity replaces its old connection. */
const HANDOVER = { ...NEVER_WAIT, handover: true };

/** How long the end of the process waits for the control thread to send the remaining text. */
const CONTROL_CLOSE_MS = 2000;

export class Sockets {
  readonly #shell = new Router(HANDOVER);
  readonly #stdin = new Router(HANDOVER);
  #control: Worker | undefined;
  #isReady = false;

  constructor(
    readonly wire: Wire,
    private readonly interrupts: Interrupts,
    private readonly log: (line: string) => void,
    private readonly stdout: number | undefined,
  ) {}

  /** Binds every socket, then hands each verified message to `onMessage`. Malformed ones are logged and dropped. */
  async bind(
    connection: Connection,
    onMessage: (channel: RequestChannel, message: Message) => void,
  ): Promise<void> {
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
    this.#tell({ publish: iopubFrames(this.wire, message) });
  }

  /** Sends text of a cell within 30 ms, even if the main thread is busy. */
  print(print: Printed): void {
    this.#tell({ print });
  }

  /** From now on the output of children belongs to this cell. */
  enter(cell: Parent): void {
    this.#tell({ cell });
  }

  send(channel: RequestChannel, message: Outgoing): void {
    const frames = this.wire.encode(message);
    if (channel === 'control') this.#tell({ send: frames });
    else this.#send(channel === 'shell' ? this.#shell : this.#stdin, frames);
  }

  /**
   * Closes every socket at the very end of the process, so it awaits nothing. The control thread closes its own:
   * zeromq aborts the process if a thread is stopped while one of its sockets waits for messages.
   */
  close(): void {
    const closed = new Int32Array(new SharedArrayBuffer(4));
    this.#tell({ close: closed });
    if (this.#control) Atomics.wait(closed, 0, 0, CONTROL_CLOSE_MS);
    for (const socket of [this.#shell, this.#stdin]) socket.close();
  }

  #tell(message: ToControl): void {
    this.#control?.postMessage(message);
  }

  #send(socket: Router, frames: Uint8Array[]): void {
    socket.send(frames).catch((error: Error) => this.log(`a message was not sent: ${error.message}`));
  }

  async #listen(socket: Router, receive: (frames: Uint8Array[]) => void): Promise<void> {
    for await (const frames of socket) receive(frames);
  }

  #startControl(connection: Connection, receive: (frames: readonly Uint8Array[]) => void): Promise<void> {
    const control = new Worker(join(__dirname, 'control-thread.js'), {
      workerData: {
        key: connection.key,
        session: this.wire.session,
        control: addressOf(connection, 'control'),
        heartbeat: addressOf(connection, 'hb'),
        iopub: addressOf(connection, 'iopub'),
        stdout: this.stdout,
        interrupts: this.interrupts.flags,
      } satisfies ControlData,
      stdout: true, // a worker's streams go through those of the main thread, which belong to cells
      stderr: true,
    });
    this.#control = control;
    return new Promise((resolve, reject) => {
      control.on('message', (message: FromControl) => {
        if ('ready' in message) {
          this.#isReady = true;
          resolve();
        } else receive(message.received);
      });
      control.on('error', (error) => {
        this.log(`the control thread failed: ${error.message}`);
        reject(error);
        this.#control = undefined;
        if (this.#isReady) process.exit(1); // the kernel could not be heard any more
      });
    });
  }
}
