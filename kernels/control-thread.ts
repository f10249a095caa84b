/**
 * Worker thread of the kernel: the control and heartbeat sockets and the watch over the parent process. It goes on
 * while a cell keeps the main thread busy: an interrupt request becomes a SIGINT to our own process (V8 then stops
 * the running script), a shutdown request a SIGINT and, where the main thread does not leave, the end of the process.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Reply, Router } from 'zeromq';
import { Interrupts } from './interrupts';
import { watchParent } from './parent-watch';
import { isDropped, Wire } from './wire';

export type FromControl = { ready: true } | { received: Uint8Array[] };
export type ToControl = { send: Uint8Array[] } | { close: Int32Array };

interface ControlData {
  readonly key: string;
  readonly control: string;
  readonly heartbeat: string;
  readonly interrupts: Int32Array;
}

/** How long the main thread may take to leave after a shutdown request before the process is killed. */
const SHUTDOWN_GRACE_MS = 3000;

async function serveControl(): Promise<void> {
  const port = parentPort!;
  const data = workerData as ControlData;
  const interrupts = new Interrupts(data.interrupts);
  const control = new Router({ sendTimeout: 0, sendHighWaterMark: 0 });
  const heartbeat = new Reply();
  const urgent = new Wire(data.key, 'kernel');
  await control.bind(data.control);
  await heartbeat.bind(data.heartbeat);

  const close = (closed: Int32Array): void => {
    for (const socket of [control, heartbeat]) socket.close();
    Atomics.store(closed, 0, 1);
    Atomics.notify(closed, 0);
  };
  port.on('message', (message: ToControl) => {
    if ('send' in message) void control.send(message.send.map((frame) => Buffer.from(frame)));
    else close(message.close);
  });
  watchParent(() => process.kill(process.pid, 'SIGKILL'));
  void echo(heartbeat);
  port.postMessage({ ready: true } satisfies FromControl);

  for await (const frames of control) {
    const message = urgent.decode(frames);
    const type = isDropped(message) ? undefined : message.header.msg_type;
    if (type === 'interrupt_request' || type === 'shutdown_request') {
      interrupts.mark();
      process.kill(process.pid, 'SIGINT');
    }
    if (type === 'shutdown_request') {
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), SHUTDOWN_GRACE_MS).unref();
    }
    port.postMessage({ received: frames } satisfies FromControl);
  }
}

async function echo(heartbeat: Reply): Promise<void> {
  for await (const ping of heartbeat) await heartbeat.send(ping);
}

void serveControl();
