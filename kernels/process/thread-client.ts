/** Asks a worker thread and waits for the answer; both sides of a pair agree on one table of calls. */
import type { MessagePort } from 'node:worker_threads';
import { Worker } from 'node:worker_threads';

/** Functions by name: each takes one argument and gives what the structured clone algorithm can copy. */
type Calls = Record<string, (argument: never) => unknown>;

type Argument<T extends Calls, K extends keyof T> = Parameters<T[K]>[0];

interface Call {
  /** Absent if no answer is wanted. */
  readonly id?: number;
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
  #outbox: Call[] = [];
  #isLeaving = false;
  #failure: Error | undefined;

  /**
   * @param path the worker's compiled file; it serves its calls with `serve`
   * @param onEnd called when the thread ends, before its open calls are rejected
   */
  constructor(
    path: string,
    workerData: unknown,
    private readonly onEnd: () => void = () => {},
  ) {
    // A worker's streams go through those of the main thread, which belong to cells.
    this.#worker = new Worker(path, { workerData, stdout: true, stderr: true });
    this.#worker.unref();
    this.#worker.on('message', (answer: Answer) => this.#settle(answer));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('the compiler thread has ended')));
  }

  /** Calls of one turn leave in one message: to wake a thread takes longer than most answers. */
  ask<K extends keyof T & string>(name: K, argument: Argument<T, K>): Promise<Awaited<ReturnType<T[K]>>> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      queueMicrotask(() => this.#post());
      this.#outbox.push({ id, name, argument });
    });
  }

  /** A call without an answer. It waits for the next `ask`, so that it does not wake the thread. */
  tell<K extends keyof T & string>(name: K, argument: Argument<T, K>): void {
    this.#outbox.push({ name, argument });
  }

  close(): void {
    void this.#worker.terminate();
  }

  /** Closes once every call is answered. */
  retire(): void {
    this.#isLeaving = true;
    if (this.#waiting.size === 0) this.close();
  }

  #post(): void {
    if (this.#outbox.length === 0) return;
    this.#worker.postMessage(this.#outbox);
    this.#outbox = [];
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ('error' in answer) waiting?.reject(new Error(answer.error));
    else waiting?.resolve(answer.value as never);
    if (this.#isLeaving && this.#waiting.size === 0) this.close();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.onEnd();
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}

/** Answers the calls that arrive at `port`, one after another. */
export function serve(port: MessagePort, calls: Calls): void {
  const answer = ({ id, name, argument }: Call): void => {
    try {
      const value = calls[name]!(argument as never);
      if (id !== undefined) port.postMessage({ id, value } satisfies Answer);
    } catch (error) {
      const text = (error as Error).stack ?? String(error);
      if (id !== undefined) port.postMessage({ id, error: text } satisfies Answer);
    }
  };
  port.on('message', (calls: readonly Call[]) => {
    for (const call of calls) answer(call);
  });
}
