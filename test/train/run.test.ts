import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { InvalidArgument, InvalidConfig, RunFailed } from '../../src/errors';
import { readState } from '../../src/train/record/checkpoint';
import type { LatestSlices } from '../../src/train/record/latest-slices';
import { LiveView, Run } from '../../src/train/run';
import { attach, listRuns, runsSideBySide } from '../../src/train/runs';
import { prepareRun, train } from '../../src/train/train';
import { phantom } from '../../src/volume/phantom/phantom';
import { curve, lastState, processesOf, reach, tiny, until, useTemporaryRuns } from './tiny';

let removeRuns: () => void;
beforeAll(() => {
  removeRuns = useTemporaryRuns();
});
afterAll(() => removeRuns());

const long = { ...tiny, ranks: 2, steps: 2000, validateEvery: 0, checkpointEvery: 10, compareEvery: 0 };

// Processes start slowly where other tests have the cores.
describe('a run', { timeout: 180_000 }, () => {
  it('returns at once, stores its config, follows its metrics and ends', async () => {
    const before = Date.now();
    const volume = phantom({ shape: [16, 16, 32], seed: 0 });
    const run = await train({ ...tiny, ranks: 2, data: volume });
    expect(Date.now() - before).toBeLessThan(5000);
    expect(run.id).toMatch(/^\d{4}-\d\d-\d\d-\d{6}-toy-[a-hjkmnp-z2-9]{4}$/);
    const steps: string[] = [];
    for await (const record of run.metrics()) steps.push(`${record.split} ${record.step}`);
    expect(steps).toEqual([...[1, 2, 3, 4, 5].map((step) => `train ${step}`), 'validation 5']);
    const status = await run.done;
    expect(status).toMatchObject({ state: 'done', step: 5, steps: 5, restarts: 0 });
    const config = await run.config();
    expect(config).toMatchObject({ seed: 11, ranks: 2, model: { codes: 16 } });
    expect(config.resolved).toMatchObject({
      steps: 5,
      backend: { name: status.backend, reason: status.reason },
    });
    const keys = ['backend', 'intensities', 'patches', 'steps', 'stepsPerEpoch'];
    expect(Object.keys(config.resolved!).sort()).toEqual(keys);
    expect(Object.values(config.resolved!.intensities)[0]).toMatchObject({ low: -200, high: 500 });
    expect((await run.records())[0]!.secondsByRank).toHaveLength(2);
    expect(run.live()).toBeInstanceOf(LiveView);
    expect((await listRuns()).map(({ id }) => id)).toContain(run.id);
    expect(Object.keys(await run.logs())).toEqual(['supervisor', 'rank-0', 'rank-1']);
    await until(() => processesOf(run).length === 0);
  });

  it('shows the same part of the validation all along, on one rank and on two, and after it was resumed', async () => {
    const shown: (LatestSlices | undefined)[] = [];
    for (const ranks of [1, 2]) {
      const run = await train({ ...tiny, ranks, data: 'phantom:32x32x48', validateEvery: 2, steps: 2 });
      for (const steps of [2, 6]) {
        if (steps > 2) await run.resume({ steps });
        await run.done;
        shown.push(await run.slices());
      }
    }
    expect(shown.map((slices) => slices?.step)).toEqual([2, 6, 2, 6]);
    expect(new Set(shown.map((slices) => slices?.original)).size).toBe(1);
    expect(new Set(shown.map((slices) => slices?.reconstruction)).size).toBeGreaterThan(1);
    // It is not air, of which most patches of the phantom's top are.
    expect(new Set(Buffer.from(shown[0]!.original, 'base64')).size).toBeGreaterThan(16);
  });

  it('refuses bad options before it writes anything', async () => {
    const runs = () =>
      existsSync(process.env.PATCHWISE_RUNS!) ? readdirSync(process.env.PATCHWISE_RUNS!) : [];
    const before = runs();
    await expect(train({ ...tiny, ranks: 0 })).rejects.toThrow(InvalidConfig);
    await expect(train({ ...tiny, data: 'nowhere.nii.gz' })).rejects.toThrow(
      'nowhere.nii.gz: nothing is there',
    );
    await expect(train({ ...tiny, data: 'phantom:16' })).rejects.toThrow('phantom:XxYxZ');
    await expect(attach('no-such-run')).rejects.toThrow(InvalidArgument);
    expect(runs()).toEqual(before);
  });

  it('is found by its id from a folder of other runs, by its folder from anywhere', async () => {
    const run = await prepareRun(tiny);
    const here = process.env.PATCHWISE_RUNS!;
    const elsewhere = join(here, 'elsewhere');
    vi.stubEnv('PATCHWISE_RUNS', elsewhere);
    try {
      expect((await attach(run.id)).dir).toBe(run.dir);
      expect((await attach(run.dir)).dir).toBe(run.dir);
      expect((await attach(relative('.', run.dir))).dir).toBe(run.dir);
      const failure = await attach('no-such-run').then(String, String);
      expect(failure).toContain(elsewhere);
      expect(failure).toMatch(/or in \d+ other folder/);
      expect(failure).toContain('PATCHWISE_RUNS');
      expect(failure).not.toMatch(/allowed: *$/);
      await expect(attach(`../${run.id}-no`)).rejects.toThrow(InvalidArgument);
    } finally {
      vi.unstubAllEnvs();
    }
    expect(process.env.PATCHWISE_RUNS).toBe(here);
    await rm(run.dir, { recursive: true });
  });

  it('fails for good, and says why, where starting again would not help', async () => {
    vi.stubEnv('PATCHWISE_CACHE', join(process.env.PATCHWISE_RUNS!, 'nothing-is-built-here'));
    const run = await train({ ...tiny, ranks: 2, backend: 'tensorflow' });
    vi.unstubAllEnvs();
    const error = await run.done.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RunFailed);
    expect((error as RunFailed).message).toContain('tensorflow');
    expect(await run.status()).toMatchObject({ state: 'failed', restarts: 0 });
    await expect(run.resume({ steps: -1 })).rejects.toThrow(InvalidConfig);
  });

  it('outlives the process that started it; attach follows it and stop leaves no process behind', async () => {
    const script = `
      const { train } = require(${JSON.stringify(resolve('dist/src/train/train.js'))});
      train(${JSON.stringify(long)}).then((run) => { console.log(run.dir); setInterval(() => {}, 1000); });`;
    const starter = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const dir = await new Promise<string>((found) => {
      starter.stdout.on('data', (text: Buffer) => found(text.toString().trim()));
    });
    starter.kill('SIGKILL');
    await new Promise((ended) => starter.on('exit', ended));
    const run = await attach(dir.split('/').at(-1)!);
    await reach(run, 25);
    expect(await run.status()).toMatchObject({ state: 'running' });
    expect(processesOf(run)).toHaveLength(3);

    const status = await run.stop();
    expect(status).toMatchObject({ state: 'stopped' });
    expect(processesOf(run)).toEqual([]);
    // The last step is in a checkpoint, so that nothing is lost.
    expect(await run.checkpoint('last')).toContain(String(status.step).padStart(8, '0'));
    expect((await run.records()).at(-1)!.step).toBe(status.step);
    expect(await run.stop()).toEqual(status);
    await expect(run.done).resolves.toMatchObject({ state: 'stopped' });
  });

  it('starts again from the last checkpoint when a rank is killed, and ends as if nothing had been', async () => {
    const options = { ...tiny, ranks: 2, steps: 50, validateEvery: 20, checkpointEvery: 10, compareEvery: 0 };
    const undisturbed = await train(options);
    await undisturbed.done;
    for (const victim of [0, 1]) {
      const run = await train(options);
      await reach(run, 15);
      process.kill((await run.status()).pids.ranks.find(({ rank }) => rank === victim)!.pid, 'SIGKILL');
      const status = await run.done;
      expect(status).toMatchObject({ state: 'done', step: 50, restarts: 1 });
      expect(status.restartReason).toContain(`rank ${victim} was ended by SIGKILL`);
      expect(curve(await run.records())).toEqual(curve(await undisturbed.records()));
      expect(await lastState(run)).toEqual(await lastState(undisturbed));
      await until(() => processesOf(run).length === 0);
    }
  });

  it('is compared with another one, and removed once it has ended', async () => {
    const run = await train({ ...tiny, ranks: 2 });
    await expect(run.remove()).rejects.toThrow('a run that has ended; stop it first');
    await run.done;
    const other = await train({ ...tiny, model: { ...tiny.model, codes: 8 }, steps: 3, validateEvery: 0 });
    await other.done;
    await until(() => processesOf(run).length + processesOf(other).length === 0);
    const { differences, results } = await runsSideBySide([run, other]);
    expect(differences.map(({ setting }) => setting)).toEqual([
      'model.codes',
      'ranks',
      'steps',
      'validateEvery',
    ]);
    expect(differences[0]!.values).toEqual([16, 8]);
    expect(results).toMatchObject([
      { state: 'done', step: 5, bestStep: 5 },
      { state: 'done', step: 3 },
    ]);
    expect(results[0]!.loss).toBe((await run.records()).findLast(({ split }) => split === 'train')!.loss);
    expect((await run.pace())!.left).toBeUndefined();
    await run.remove();
    expect(existsSync(run.dir)).toBe(false);
    expect((await listRuns()).map(({ id }) => id)).not.toContain(run.id);
  });

  it.each([0, 5, 50])(
    'is either removed or resumed, whole, where both are asked %i ms apart',
    async (apart) => {
      const run = await train({ ...tiny, steps: 2, validateEvery: 0 });
      await run.done;
      await until(() => processesOf(run).length === 0);
      const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
      const [removed, resumed] = await Promise.allSettled([
        pause(apart).then(() => run.remove()),
        new Run(run.dir).resume({ steps: 4 }),
      ]);
      expect([removed.status, resumed.status].sort()).toEqual(['fulfilled', 'rejected']);
      const refused = removed.status === 'rejected' ? removed : (resumed as PromiseRejectedResult);
      expect(refused.reason).toBeInstanceOf(InvalidArgument);
      if (removed.status === 'fulfilled') expect(existsSync(run.dir)).toBe(false);
      else expect(await new Run(run.dir).done).toMatchObject({ state: 'done', step: 4 });
      expect(readdirSync(dirname(run.dir)).filter((name) => name.startsWith('.removed'))).toEqual([]);
    },
  );

  it('gives the ends of logs, in whole lines, however long the logs are', async () => {
    const run = await train({ ...tiny, steps: 2, validateEvery: 0 });
    await run.done;
    const path = join(run.dir, 'logs', 'rank-0.log');
    truncateSync(path, 3 * 2 ** 30); // sparse
    appendFileSync(path, `${'ä'.repeat(2 ** 18)}\n${'long\n'.repeat(120_000)}the end\n`);
    const text = (await run.logs())['rank-0']!;
    const [note, ...lines] = text.trimEnd().split('\n');
    expect(note).toBe(`[the first ${statSync(path).size - 600_008} bytes are left out; they are in ${path}]`);
    expect([lines[0], lines.at(-1), lines.length]).toEqual(['long', 'the end', 120_001]);
  });

  it('leaves a checkpoint on SIGUSR1 and goes on', async () => {
    const run = await train({ ...long, checkpointEvery: 0 });
    await reach(run, 5);
    await expect(run.checkpoint()).rejects.toThrow('none yet');
    expect(await run.save()).toBe(true);
    await until(() => existsSync(join(run.dir, 'checkpoints', 'last')), 30);
    const saved = readState(await run.checkpoint()).step;
    await reach(run, saved + 5);
    await run.stop();
    expect(await run.save()).toBe(false);
  });

  it('finds a rank that hangs, and starts the group again', async () => {
    // Long enough that it cannot end first; a heartbeat that a loaded machine does not miss.
    const run = await train({ ...long, heartbeat: 10 });
    await reach(run, 15);
    process.kill((await run.status()).pids.ranks[1]!.pid, 'SIGSTOP');
    await until(async () => (await run.status()).restarts > 0, 60);
    await until(async () => (await run.status()).state === 'running', 60);
    const status = await run.status();
    expect(status.restartReason).toBe('rank 1 gave no sign of life for 10 s');
    await reach(run, status.step + 5);
    expect(await run.stop()).toMatchObject({ state: 'stopped', restarts: 1 });
    await until(() => processesOf(run).length === 0);
  });

  it('gives up after the restarts that it has, with the reason', async () => {
    const run = await train({ ...long, restarts: 0 });
    await reach(run, 3);
    process.kill((await run.status()).pids.ranks[1]!.pid, 'SIGKILL');
    await expect(run.done).rejects.toThrow('rank 1 was ended by SIGKILL');
    await until(() => processesOf(run).length === 0);
  });

  it('its ranks end when the supervisor is killed, its status says so, and it can be resumed', async () => {
    const run = await train(long);
    await reach(run, 15);
    process.kill((await run.status()).pids.supervisor!.pid, 'SIGKILL');
    await expect(run.done).rejects.toThrow('the supervisor was killed');
    await until(() => processesOf(run).length === 0, 5);
    await run.resume();
    await reach(run, 20);
    await expectAlive(run);
    const { state, pids } = await run.stop();
    expect(state).toBe('stopped');
    expect(() => process.kill(pids.supervisor!.pid, 0)).toThrow('ESRCH'); // not even a zombie of this process
    expect(processesOf(run)).toEqual([]);
  });
});

async function expectAlive(run: Run): Promise<void> {
  await until(async () => (await run.status()).state === 'running');
  expect((await run.logs())['rank-0']).toContain('goes on from the checkpoint of step');
  expect(existsSync(join(run.dir, 'checkpoints', 'last'))).toBe(true);
}
