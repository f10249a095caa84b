import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { RunFailed } from '../../../src/errors';
import { compiledFile } from '../../../src/package';
import { identify } from '../../../src/process-identity';
import { readState } from '../../../src/train/record/checkpoint';
import { writeStatus } from '../../../src/train/record/status';
import type { Run } from '../../../src/train/run';
import { prepareRun, train } from '../../../src/train/train';
import { processesOf, reach, tiny, until, useTemporaryRuns } from '../tiny';

let removeRuns: () => void;
beforeAll(() => {
  removeRuns = useTemporaryRuns();
});
afterEach(() => vi.unstubAllEnvs());
afterAll(() => removeRuns());

const long = { ...tiny, ranks: 2, steps: 1e6, validateEvery: 0, checkpointEvery: 10, compareEvery: 0 };

/** One rank as a launcher starts it. */
function launch(run: Run, port: number, [rank, ranks] = [0, 1]) {
  const child = spawn(process.execPath, [compiledFile('src', 'cli.js'), 'rank', run.dir], {
    env: {
      ...process.env,
      ...{ RANK: `${rank}`, WORLD_SIZE: `${ranks}`, LOCAL_RANK: `${rank}`, LOCAL_WORLD_SIZE: `${ranks}` },
      ...{ MASTER_ADDR: '127.0.0.1', MASTER_PORT: String(port), PATCHWISE_BACKEND: 'wasm' },
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (text) => (said += text));
  const ended = new Promise<{ code: number | null; said: string }>((end) =>
    child.on('close', (code) => end({ code, said })),
  );
  return { child, ended };
}

async function signalAll(run: Run, signal: NodeJS.Signals): Promise<void> {
  const { supervisor, ranks } = (await run.status()).pids;
  for (const { pid } of [supervisor!, ...ranks]) process.kill(pid, signal);
}

// Processes start slowly where other tests have the cores.
describe('the life of a run', { timeout: 180_000 }, () => {
  it('a stop that comes while a resume starts ends the run', async () => {
    const run = await train(long);
    await reach(run, 3);
    await run.stop();
    for (const delay of [0, 5, 50, 150]) {
      const { updated } = await run.status();
      const resumed = run.resume().catch((error: unknown) => error);
      await until(async () => (await run.status()).updated !== updated || processesOf(run).length > 0);
      await pause(delay);
      expect(await run.stop()).toMatchObject({ state: 'stopped' });
      await resumed;
      expect(processesOf(run)).toEqual([]);
      expect(await run.status()).toMatchObject({ state: 'stopped' });
    }
  });

  it('time in which its processes did not run does not count as silence', async () => {
    const run = await train({ ...long, heartbeat: 2, timeout: 600 });
    await reach(run, 5);
    await signalAll(run, 'SIGSTOP');
    await pause(6000);
    const { step } = await run.status();
    await signalAll(run, 'SIGCONT');
    await reach(run, step + 50);
    await pause(2500);
    expect(await run.status()).toMatchObject({ state: 'running', restarts: 0 });
    await run.stop();
  });

  it('a grace period longer than timers can count does not become one millisecond', async () => {
    const run = await train({ ...long, grace: 3e6, timeout: 3e6, heartbeat: 3e6 });
    await reach(run, 12);
    const status = await run.stop();
    expect(status).toMatchObject({ state: 'stopped', restarts: 0 });
    expect(readState(await run.checkpoint()).step).toBe(status.step);
  });

  it('the reason is the first rank that was lost, not one that its supervisor had to kill after it', async () => {
    const run = await train({ ...long, restarts: 0 });
    await reach(run, 3);
    const pid = (rank: number) => async () => (await run.status()).pids.ranks[rank]!.pid;
    const [first, second] = [await pid(0)(), await pid(1)()];
    process.kill(first, 'SIGSTOP');
    process.kill(second, 'SIGUSR1');
    process.kill(second, 'SIGSEGV');
    const error = await run.done.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RunFailed);
    expect((error as RunFailed).reason).toBe('rank 1 was ended by SIGSEGV');
  });

  it('a save that is asked for from the first moment opens no debugger and ends no rank', async () => {
    const run = await train(long);
    for (let asked = 0; asked < 200; asked++) {
      const { supervisor } = (await run.status()).pids;
      process.kill(supervisor!.pid, asked % 2 ? 'SIGUSR1' : 'SIGUSR2');
      await pause(10);
    }
    await reach(run, 5);
    await run.stop();
    expect(await run.status()).toMatchObject({ state: 'stopped', restarts: 0 });
    for (const text of Object.values(await run.logs())) expect(text).not.toContain('Debugger listening');
  });

  // These wait for other processes more than they compute.
  it.concurrent('is refused to a second launcher, whose ranks are told why; the first goes on', async () => {
    const run = await prepareRun({ ...long, ranks: 1 });
    const first = launch(run, 27_101);
    await reach(run, 5);
    const { pids } = await run.status();
    const seconds = [launch(run, 27_102, [0, 2]), launch(run, 27_102, [1, 2])];
    for (const { code, said } of await Promise.all(seconds.map(({ ended }) => ended))) {
      expect(said).toContain(`one of process ${first.child.pid}`);
      expect(code).not.toBe(0);
    }
    await expect(run.resume()).rejects.toThrow('a run that has ended');
    expect((await run.status()).pids).toEqual(pids);
    await run.stop();
    expect((await first.ended).code).toBe(0);
    const steps = (await run.records()).map(({ step }) => step);
    expect(new Set(steps).size).toBe(steps.length);
  });

  it.concurrent('says so when it is launched with another number of ranks than it was prepared for', async () => {
    const run = await prepareRun({ ...tiny, ranks: 4, batch: 2 });
    expect((await launch(run, 27_103).ended).code).toBe(0);
    expect((await run.status()).note).toBe(
      'prepared for 4 ranks, launched with 1: the global batch is 2 patches, not 8; the learning rate stays',
    );
  });

  it.concurrent('on another machine is left alone, with the name of that machine, until that one is gone', async () => {
    const run = await prepareRun(tiny);
    const owner = { ...identify(process.pid)!, host: 'node7', machine: 'node7 since its last boot' };
    const pids = { supervisor: identify(process.pid)!, ranks: [] };
    writeStatus(run.dir, { ...(await run.status()), ...owner, state: 'running', pids });
    const path = join(run.dir, 'owner.json');
    writeFileSync(path, JSON.stringify({ ...owner, role: 'supervisor', token: 'x' }));
    let clock = 1000;
    const beats = setInterval(() => utimesSync(path, ++clock, clock), 250);
    await expect(run.stop()).rejects.toThrow('go to node7 for it');
    await expect(run.resume()).rejects.toThrow('stop it first, received "running on node7"');
    await expect(run.remove()).rejects.toThrow('running on node7');
    expect(await run.save()).toBe(false);
    expect(await run.status()).toMatchObject({ state: 'running', host: 'node7' });
    const second = await launch(run, 27_104).ended;
    expect(second.said).toContain('on node7');
    clearInterval(beats);
    expect(await run.stop()).toMatchObject({ state: 'stopped' });
    await (await run.resume()).done;
    expect(await run.status()).toMatchObject({ state: 'done', step: 5 });
  });

  it('leaves nothing behind if its supervisor does not start', async () => {
    const folder = join(process.env.PATCHWISE_RUNS!, 'broken');
    mkdirSync(folder);
    writeFileSync(join(folder, 'exit.cjs'), "if (process.argv[2] === 'supervise') process.exit(3);");
    vi.stubEnv('NODE_OPTIONS', `--require ${join(folder, 'exit.cjs')}`);
    const run = await prepareRun(tiny);
    await expect(run.resume()).rejects.toThrow('a run that has ended');
    await run.stop();
    await expect(run.resume()).rejects.toThrow('did not come up (exit code 3)');
    expect(processesOf(run)).toEqual([]);
    expect(() => readFileSync(join(run.dir, 'owner.json'))).toThrow('ENOENT');
    vi.unstubAllEnvs();
    await (await run.resume()).done;
  });
});
