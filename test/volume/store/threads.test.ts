import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { InvalidArgument, NoMemory, UnreadableFile } from '../../../src/errors';
import { errorOf, errorOfThread, failureOf } from '../../../src/volume/base/failure';
import { isOutOfMemory } from '../../../src/volume/base/fault';
import { machineError } from '../../../src/volume/prepare/one-volume';
import { Threads } from '../../../src/volume/store/threads';
import { temporaryFolder } from '../folder';

describe('Threads', () => {
  const folder = temporaryFolder();
  const worker = () => join(folder(), 'worker.js');

  beforeAll(() => {
    writeFileSync(
      worker(),
      `const { parentPort, threadId } = require('node:worker_threads');
       parentPort.on('message', (job) => {
         if (job === 'exit') process.exit(3);
         if (job === 'throw') throw new Error('out of order');
         if (job !== 'hang') setTimeout(() => parentPort.postMessage({ result: [job, threadId] }), 20);
       });`,
    );
  });

  it('answers every job, on no more threads than allowed', async () => {
    const threads = new Threads<number, [number, number]>(worker(), 3);
    const answers = await Promise.all(Array.from({ length: 12 }, (_, job) => threads.run(job)));
    const results = answers.map((answer) => ('result' in answer ? answer.result : undefined)!);
    expect(results.map(([job]) => job)).toEqual(Array.from({ length: 12 }, (_, job) => job));
    expect(new Set(results.map(([, thread]) => thread)).size).toBe(3);
    await threads.close();
  });

  it('a thread that dies fails its own job, and a new one takes its place', async () => {
    const threads = new Threads<string, [string, number]>(worker(), 1);
    const answers = await Promise.all(['a', 'exit', 'b', 'throw', 'c'].map((job) => threads.run(job)));
    expect(answers).toEqual([
      { result: ['a', expect.any(Number)] },
      { failed: { message: 'the thread ended with code 3' } },
      { result: ['b', expect.any(Number)] },
      { failed: { message: 'out of order' } },
      { result: ['c', expect.any(Number)] },
    ]);
    await threads.close();
  });

  it('when closed it answers running, waiting and later jobs', async () => {
    const threads = new Threads<string, unknown>(worker(), 1);
    const answers = [threads.run('hang'), threads.run('waits')];
    await threads.close();
    answers.push(threads.run('late'));
    for (const answer of answers) expect(await answer).toEqual({ failed: { message: 'closed' } });
  });

  it.each([
    ['Worker initialization failure: EMFILE', { code: 'EMFILE', syscall: 'thread' }],
    ["EMFILE: too many open files, open '/a b/c.js'", { code: 'EMFILE', syscall: 'open', path: '/a b/c.js' }],
    ['ENOMEM: not enough memory, read', { code: 'ENOMEM', syscall: 'read' }],
  ])('a thread that cannot start because of %s gives the error of the system', (message, parts) => {
    const crossed = errorOf(structuredClone(failureOf(errorOfThread(new Error(message)))));
    expect({ ...crossed }).toMatchObject(parts);
  });

  it('a thread without memory is not the fault of a file', async () => {
    writeFileSync(
      join(folder(), 'greedy.js'),
      `require('node:worker_threads').parentPort.on('message', () => {
         throw Object.assign(new Error('Worker terminated due to reaching memory limit: JS heap out of memory'));
       });`,
    );
    const threads = new Threads<string, never>(join(folder(), 'greedy.js'), 1);
    const answer = await threads.run('a');
    const error = errorOf('failed' in answer ? answer.failed : { message: '' });
    expect(isOutOfMemory(error)).toBe(true);
    const named = machineError({ path: 'ct.nii' }, error) as Error;
    expect(named).toBeInstanceOf(NoMemory);
    expect(named.message).toMatch(/^ct.nii: no memory/);
    expect(isOutOfMemory(new UnreadableFile('a', 'b', 'out of memory'))).toBe(false);
    await threads.close();
  });

  it.each([
    new UnreadableFile('a', 'b', 'c'),
    new InvalidArgument('index', '0 to 3', undefined, [1, 2]),
    new NoMemory('a', 2 ** 33),
    Object.assign(new Error('ENOSPC: full'), { code: 'ENOSPC', errno: -28, syscall: 'write', path: '/d/a' }),
  ])('%s keeps its class and fields between threads', (error) => {
    const crossed = errorOf(structuredClone(failureOf(error)));
    expect(crossed).toEqual(error);
    expect(crossed.constructor).toBe(error.constructor);
    expect({ ...crossed }).toEqual({ ...error });
  });
});
