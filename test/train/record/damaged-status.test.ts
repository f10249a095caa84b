import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { RunFailed, UnreadableFile } from '../../../src/errors';
import { readStatus, StatusFile } from '../../../src/train/record/status';
import { Run } from '../../../src/train/run';
import { attach, listRuns } from '../../../src/train/runs';
import { prepareRun, train } from '../../../src/train/train';
import { tiny, useTemporaryRuns } from '../tiny';

const disk = vi.hoisted(() => ({ full: false }));
vi.mock('../../../src/atomic-file', async (original) => {
  const file = await original<typeof import('../../../src/atomic-file')>();
  const replaceFile: typeof file.replaceFile = (...given) => {
    if (disk.full) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    file.replaceFile(...given);
  };
  return { ...file, replaceFile };
});

const noProcess = '{"state":"running","host":"a","pids":{"ranks":[null]},"heartbeats":[],"step":1,"steps":2}';

let removeRuns: () => void;
beforeAll(() => {
  removeRuns = useTemporaryRuns();
});
afterAll(() => removeRuns());

describe('a status that is missing or damaged', { timeout: 120_000 }, () => {
  // Each waits until nothing has healed the status.
  it.concurrent.each(['', '\0\0\0\0', '{"state":', 'null', '{}', '{"state":"done"}', noProcess, undefined])(
    'reads as damaged, with what the rest of the folder knows: %j',
    async (content) => {
      const { dir, id } = await prepareRun({ ...tiny, steps: 7 });
      const path = join(dir, 'status.json');
      writeFileSync(
        join(dir, 'metrics.jsonl'),
        '{"step":3,"epoch":0,"time":"2026-01-01T00:00:00.000Z","split":"train"}\n',
      );
      if (content === undefined) rmSync(path);
      else writeFileSync(path, content);
      const status = readStatus(dir);
      expect(status).toMatchObject({ state: 'damaged', step: 3, steps: 7, pids: { ranks: [] } });
      expect(status.error).toContain(`${path} is ${content === undefined ? 'missing' : 'damaged'}`);
      expect(status.error).toContain(`patchwise runs resume ${id}`);
      expect((await listRuns()).map((run) => run.id)).toContain(id);
      expect((await attach(id)).dir).toBe(dir);
      await expect(new Run(dir).done).rejects.toThrow(RunFailed);
      expect(await new Run(dir).stop()).toMatchObject({ state: 'damaged' });
      await new Run(dir).remove();
      expect(existsSync(dir)).toBe(false);
      expect(() => readStatus(dir)).toThrow(UnreadableFile);
    },
  );

  it.concurrent('is healed by a run that lives, before anybody believes it', async () => {
    const { dir } = await prepareRun(tiny);
    appendFileSync(join(dir, 'logs', 'rank-0.log'), '');
    writeFileSync(join(dir, 'status.json'), '');
    const file = new StatusFile(dir);
    setTimeout(() => {
      file.update({ state: 'done', error: undefined });
      file.flush();
    }, 500);
    expect(await new Run(dir).done).toMatchObject({ state: 'done' });
  });

  it('does not keep a run from going on', async () => {
    const run = await train(tiny);
    await run.done;
    writeFileSync(join(run.dir, 'status.json'), '');
    await (await run.resume({ steps: 8 })).done;
    const status = await run.status();
    expect(status).toMatchObject({ state: 'done', step: 8, steps: 8 });
    expect(status.error).toBeUndefined();
  });

  it('a folder of somebody else is no run', () => {
    const dir = join(process.env.PATCHWISE_RUNS!, 'project');
    for (const name of ['logs', 'checkpoints']) mkdirSync(join(dir, name), { recursive: true });
    writeFileSync(join(dir, 'config.json'), '{}');
    return expect(attach(dir)).rejects.toThrow('expected the folder of a run');
  });

  it('how a run has ended is written once the disk has room', async () => {
    const { dir } = await prepareRun(tiny);
    const status = new StatusFile(dir);
    status.update({ state: 'done' });
    disk.full = true;
    const written = status.flushEnd();
    expect(readStatus(dir).state).toBe('starting');
    disk.full = false;
    await written;
    expect(readStatus(dir).state).toBe('done');
    // Where the folder is gone nobody waits.
    rmSync(dir, { recursive: true });
    await status.flushEnd();
    expect(existsSync(dir)).toBe(false);
  });
});
