/** Asks a worker thread and waits for the answer; both sides of a pair agree on one table of calls. */
import type { MessagePort } from 'node:worker_threads';
import { Worker } from 'node:worker_threads';

/** Functions by name: each takes one argument and gives what the structured clone algorithm can copy. */
export type Calls = Record<string, (argument: never) => unknown>;

type Argument<T extends Calls, K extends keyof T> = Parameters<T[K]>[0];

interface Call {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string };

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

export class ThreadClient<T extends Calls> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;
  #failure: Error | undefined;

  /** @param path the worker's compiled file; it serves its calls with `serve` */
  constructor(path: string, workerData: unknown) {
    // A worker's streams pass through the main thread's, which belong to cells.
    this.#worker = new Worker(path, { workerData, stdout: true, stderr: true });
    this.#worker.unref();
    this.#worker.on('message', (answer: Answer) => this.#settle(answer));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('the compiler thread has ended')));
  }

  ask<K extends keyof T & string>(name: K, argument: Argument<T, K>): Promise<Awaited<ReturnType<T[K]>>> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      this.#worker.postMessage({ id, name, argument } satisfies Call);
    });
  }

  close(): void {
    void this.#worker.terminate();
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ('error' in answer) waiting?.reject(new Error(answer.error));
    else waiting?.resolve(answer.value as never);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}

/** Answers the calls that come in at `port`, one after the other. */
export function serve(port: MessagePort, calls: Calls): void {
  port.on('message', async ({ id, name, argument }: Call) => {
    try {
      port.postMessage({ id, value: await calls[name]!(argument as never) } satisfies Answer);
    } catch (error) {
      port.postMessage({ id, error: (error as Error).stack ?? String(error) } satisfies Answer);
    }
  });
}
