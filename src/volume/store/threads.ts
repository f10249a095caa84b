import { parentPort, type TransferListItem, Worker } from 'node:worker_threads';
import { errorOfThread, type Failure, failureOf } from '../base/failure';

/** What a thread answers. */
type Answer<Result> = { readonly result: Result } | { readonly failed: Failure };

interface Task<Job, Result> {
  readonly job: Job;
  readonly resolve: (answer: Answer<Result>) => void;
}

/**
 * Worker threads that take jobs from one queue, each one at a time. A thread starts when a job waits, and an idle thread
 * does not keep the process alive. If a thread dies, its job fails and a new thread takes its place.
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

  /** Ends all threads at once. Jobs that are not done fail. */
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
    const settle = (answer: Answer<Result>) => {
      const task = this.working.get(worker);
      this.working.delete(worker);
      task?.resolve(answer);
      if (!this.closed) this.next();
    };
    worker.on('message', (answer: Answer<Result>) => {
      worker.unref();
      if (!this.closed) this.idle.push(worker);
      settle(answer);
    });
    const died = (error: Error) => {
      const at = this.idle.indexOf(worker);
      if (at >= 0) this.idle.splice(at, 1);
      settle({ failed: failureOf(error) });
    };
    worker.on('error', (error) => died(errorOfThread(error)));
    worker.on('exit', (code) => died(new Error(`the thread ended with code ${code}`)));
    return worker;
  }
}

/** Answers the jobs of this thread one after the other. */
export function answerJobs<Job, Result>(
  work: (job: Job) => Promise<Result>,
  transfer: (result: Result) => readonly TransferListItem[] = () => [],
): void {
  parentPort!.on('message', async (job: Job) => {
    let answer: Answer<Result>;
    try {
      answer = { result: await work(job) };
    } catch (error) {
      answer = { failed: failureOf(error) };
    }
    parentPort!.postMessage(answer, 'result' in answer ? transfer(answer.result) : []);
  });
}
