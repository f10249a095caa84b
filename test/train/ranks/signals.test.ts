import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { compiledFile, nodeArguments } from '../../../src/package';
import { readState } from '../../../src/train/record/checkpoint';
import type { Run } from '../../../src/train/run';
import { prepareRun } from '../../../src/train/train';
import { processesOf, reach, tiny, until, useTemporaryRuns } from '../tiny';

let removeRuns: () => void;
beforeAll(() => {
  removeRuns = useTemporaryRuns();
});
const groups: number[] = [];
afterEach(() => {
  for (const group of groups.splice(0)) {
    // Not the command kill: Debian's reads `-14113` as process -1, which is every process there is.
    try {
      process.kill(-group, 'SIGKILL');
    } catch {
      // The group has ended.
    }
  }
});
afterAll(() => removeRuns());

const signals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;
const place = {
  RANK: '0',
  WORLD_SIZE: '1',
  LOCAL_RANK: '0',
  LOCAL_WORLD_SIZE: '1',
  MASTER_ADDR: '127.0.0.1',
};

/** A run whose one rank was launched as `launcher` does, in a process group of its own, after some steps. */
async function launched(launcher: readonly string[], port: number): Promise<[Run, ChildProcess]> {
  const run = await prepareRun({
    ...tiny,
    steps: 1e6,
    validateEvery: 0,
    checkpointEvery: 0,
    compareEvery: 0,
  });
  const [program, ...args] = [...launcher, 'rank', run.dir];
  const child = spawn(program!, args, {
    cwd: resolve(__dirname, '..', '..', '..'),
    env: { ...process.env, ...place, MASTER_PORT: String(port), PATCHWISE_BACKEND: 'wasm' },
    stdio: 'ignore',
    detached: true,
  });
  groups.push(child.pid!);
  await reach(run, 3);
  return [run, child];
}

/** The run was asked to end: its last step is in a checkpoint, and no process is left. */
async function expectStopped(run: Run): Promise<void> {
  await until(() => processesOf(run).length === 0, 30);
  const status = await run.status();
  expect(status).toMatchObject({ state: 'stopped' });
  expect(readState(await run.checkpoint()).step).toBe(status.step);
}

/** The run was asked for a checkpoint: it has one and goes on. */
async function expectSaved(run: Run): Promise<void> {
  await until(() => existsSync(join(run.dir, 'checkpoints', 'last')), 30);
  await reach(run, readState(await run.checkpoint()).step + 3);
  expect(await run.status()).toMatchObject({ state: 'running' });
}

describe('a signal to a launched rank', { timeout: 120_000 }, () => {
  let port = 27_300 + (process.pid % 1000) * 20;

  it.each(signals)('%s to `npx patchwise rank`, to npx alone', async (signal) => {
    const [run, npx] = await launched(['npx', 'patchwise'], port++);
    process.kill(npx.pid!, signal);
    if (signal === 'SIGUSR1' || signal === 'SIGINT') {
      // npm keeps the first for its debugger, and its shell the second: the rank never hears of it, and must go on.
      const { step } = await run.status();
      await reach(run, step + 20);
      expect(await run.status()).toMatchObject({ state: 'running' });
      process.kill(npx.pid!, 'SIGTERM');
    }
    await expectStopped(run);
  });

  it.each(signals)('%s to `npx patchwise rank`, to all of its process group', async (signal) => {
    const [run, npx] = await launched(['npx', 'patchwise'], port++);
    process.kill(-npx.pid!, signal);
    // SIGUSR1 and SIGUSR2 too end the shell of npx, and so the launcher.
    await expectStopped(run);
  });

  it.each([...signals, 'SIGQUIT', 'SIGXCPU'] as const)('%s to the command without npx', async (signal) => {
    const [run, rank] = await launched([process.execPath, compiledFile('src', 'cli.js')], port++);
    const ended = new Promise((end) => rank.on('exit', (code) => end(code)));
    process.kill(-rank.pid!, signal);
    if (signal.startsWith('SIGUSR')) {
      await expectSaved(run);
      process.kill(rank.pid!, 'SIGTERM');
    }
    await expectStopped(run);
    expect(await ended).toBe(0);
  });

  it.concurrent.each([0, 30, 60, 90, 150, 300])(
    'SIGUSR1 %s ms after its start leaves no debugger open',
    async (delay) => {
      // The first line of every program of ours, and then what has become of Node's debugger.
      const look = "setTimeout(() => console.error('debugger:', require('node:inspector').url()), 1500);";
      const main = `require('${compiledFile('src', 'early-signals.js')}'); ${look}`;
      const child = spawn(process.execPath, ['-e', main], { stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      child.stderr.on('data', (text) => (said += text));
      const ended = new Promise<NodeJS.Signals | null>((end) => child.on('close', (_, by) => end(by)));
      await pause(delay);
      child.kill('SIGUSR1');
      // In its very first milliseconds Node has no handler at all.
      if ((await ended) !== 'SIGUSR1') expect(said).toContain('debugger: undefined');
    },
  );

  it.concurrent('a process of ours cannot open a debugger port even before its first line', async () => {
    const args = nodeArguments('-e', 'setTimeout(() => {}, 2000)');
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (text) => (said += text));
    const ended = new Promise((end) => child.on('close', (code) => end(code)));
    await pause(500);
    child.kill('SIGUSR1');
    expect(await ended).toBe(0);
    expect(said).toContain('failed: address not available');
    expect(said).not.toContain('Debugger listening');
  });
});
