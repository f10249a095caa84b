import { parentPort, type TransferListItem } from 'node:worker_threads';
import { failureOf } from './failure';
import type { Answer } from './threads';

/** Answers a thread's jobs, each when the one before is done. */
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
