/**
 * Worker thread of the kernel: the control, heartbeat and iopub sockets and the watch over the parent process. It works
 * while a cell keeps the main thread busy. An interrupt request becomes a SIGINT to our process group: V8 stops the
 * running script, and a child that the cell waits for ends. A shutdown request does the same, and kills the process if
 * the main thread does not end it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Reply, Router } from 'zeromq';
import { ChildOutput } from '../process/child-output';
import { signalGroup, watchParent } from '../process/group';
import { Interrupts } from '../process/interrupts';
import { Iopub, NEVER_WAIT } from './iopub';
import type { Parent, Printed } from './output';
import { isDropped, Wire } from './wire';

export type FromControl = { ready: true } | { received: Uint8Array[] };
export type ToControl =
  | { send: Uint8Array[] }
  | { publish: Uint8Array[] }
  | { print: Printed }
  | { cell: Parent }
  | { close: Int32Array };

export interface ControlData {
  readonly key: string;
  readonly session: string;
  readonly control: string;
  readonly heartbeat: string;
  readonly iopub: string;
  /** The other end of our stdout (child-output.ts). */
  readonly stdout: number | undefined;
  readonly interrupts: Int32Array;
}

/** How long the main thread may take to end after a shutdown request before the process is killed. */
const SHUTDOWN_GRACE_MS = 3000;

/** The main thread answers an interrupt within milliseconds unless it is stuck. */
const STUCK_AFTER_MS = 500;

async function serveControl(): Promise<void> {
  const port = parentPort!;
  const data = workerData as ControlData;
  const interrupts = new Interrupts(data.interrupts);
  const control = new Router({ ...NEVER_WAIT, handover: true });
  const heartbeat = new Reply();
  const wire = new Wire(data.key, 'kernel', data.session);
  const iopub = new Iopub(wire);
  await iopub.bind(data.iopub);
  await control.bind(data.control);
  await heartbeat.bind(data.heartbeat);

  let cell: Parent = {};
  const children =
    data.stdout === undefined
      ? undefined
      : new ChildOutput(data.stdout, (text) => iopub.print({ name: 'stdout', parent: cell, text }));

  const close = (closed: Int32Array): void => {
    children?.drain();
    for (const socket of [control, heartbeat, iopub]) socket.close();
    Atomics.store(closed, 0, 1);
    Atomics.notify(closed, 0);
  };
  port.on('message', (message: ToControl) => {
    if ('print' in message) iopub.print(message.print);
    else if ('publish' in message) {
      children?.drain(); // output of a child that has ended comes before the end of its cell
      iopub.send(message.publish);
    } else if ('cell' in message) cell = message.cell;
    else if ('send' in message) void control.send(message.send.map((frame) => Buffer.from(frame)));
    else close(message.close);
  });
  watchParent(() => signalGroup('SIGKILL'));
  void echo(heartbeat);
  port.postMessage({ ready: true } satisfies FromControl);

  for await (const frames of control) {
    const message = wire.decode(frames);
    const type = isDropped(message) ? undefined : message.header.msg_type;
    if (type === 'interrupt_request' || type === 'shutdown_request') {
      interrupts.ask();
      const isMeant = (): boolean => type === 'shutdown_request' || interrupts.isStillMeant();
      await interrupts.gate.pass(() => signalGroup('SIGINT'), isMeant, interrupts.inScript);
      setTimeout(() => {
        // It is in a script now, and was in none before.
        const signal = (): boolean => process.kill(process.pid, 'SIGINT');
        if (interrupts.noteIfStuck())
          void interrupts.gate.pass(signal, () => interrupts.isStuck, interrupts.inScript);
      }, STUCK_AFTER_MS).unref();
    }
    if (type === 'shutdown_request') {
      setTimeout(() => signalGroup('SIGKILL'), SHUTDOWN_GRACE_MS).unref();
    }
    port.postMessage({ received: frames } satisfies FromControl);
  }
}

async function echo(heartbeat: Reply): Promise<void> {
  for await (const ping of heartbeat) await heartbeat.send(ping);
}

void serveControl();
