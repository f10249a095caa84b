import { Worker } from 'node:worker_threads';
import type { Failure } from './failure';

/** What a thread answers. */
export type Answer<Result> = { readonly result: Result } | { readonly failed: Failure };

interface Task<Job, Result> {
  readonly job: Job;
  readonly resolve: (answer: Answer<Result>) => void;
}

/**
 * Worker threads that take jobs from one queue, each one at a time. Threads start when there is work for them and do
 * not keep the process alive when there is none. One that dies answers for its job and is replaced.
 */
export class Threads<Job, Result> {
  private readonly queue: Task<Job, Result>[] = [];
  private readonly idle: Worker[] = [];
  private readonly working = new Map<Worker, Task<Job, Result>>();
  private closed = false;

  constructor(
    private readonly file: string,
    readonly most: number,
  ) {}

  run(job: Job): Promise<Answer<Result>> {
    if (this.closed) return Promise.resolve({ failed: { message: 'closed' } });
    return new Promise((resolve) => {
      this.queue.push({ job, resolve });
      this.next();
    });
  }

  /** Ends all threads, in the middle of their jobs too, which are answered with a failure. */
  async close(): Promise<void> {
    this.closed = true;
    const tasks = [...this.queue.splice(0), ...this.working.values()];
    const workers = [...this.idle.splice(0), ...this.working.keys()];
    this.working.clear();
    await Promise.all(workers.map((worker) => worker.terminate()));
    for (const task of tasks) task.resolve({ failed: { message: 'closed' } });
  }

  private next(): void {
    while (this.queue.length > 0) {
      const worker = this.idle.pop() ?? (this.working.size < this.most ? this.start() : undefined);
      if (!worker) return;
      const task = this.queue.shift()!;
      this.working.set(worker, task);
      worker.ref();
      worker.postMessage(task.job);
    }
  }

  private start(): Worker {
    const worker = new Worker(this.file);
    worker.on('message', (answer: Answer<Result>) => {
      const task = this.working.get(worker);
      this.working.delete(worker);
      worker.unref();
      if (!this.closed) this.idle.push(worker);
      task?.resolve(answer);
      this.next();
    });
    const died = (message: string) => {
      const task = this.working.get(worker);
      this.working.delete(worker);
      const at = this.idle.indexOf(worker);
      if (at >= 0) this.idle.splice(at, 1);
      task?.resolve({ failed: { message } });
      if (!this.closed) this.next();
    };
    worker.on('error', (error) => died(error instanceof Error ? error.message : String(error)));
    worker.on('exit', (code) => died(`the thread ended with code ${code}`));
    return worker;
  }
}
