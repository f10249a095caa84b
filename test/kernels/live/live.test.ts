import { AsyncResource } from 'node:async_hooks';
import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DisplayOptions } from '../../../kernels/display/displays';
import { RunFollower } from '../../../kernels/live/followers';
import { LiveFigures } from '../../../kernels/live/live';
import { CommRegistry } from '../../../kernels/protocol/comms';
import type { Json, Message } from '../../../kernels/protocol/wire';
import type { MimeBundle } from '../../../src/display-protocol';
import { attach } from '../../../src/index';
import { FIGURE_MIME } from '../../../src/internal';
import { middleSlices, writeLatestSlices } from '../../../src/train/record/latest-slices';
import { recordsOf } from '../../plot/samples';

interface Sent {
  readonly type: string;
  readonly figure?: { data: { uid: string; x: number[] }[]; layout: { title: { text: string } } };
  readonly points?: Record<string, { x: number[]; y: number[] }>;
  readonly layout?: { title: { text: string } };
  readonly message?: string;
}

/** A run's folder that the test writes as the run's own processes would. */
class FakeRun {
  private constructor(readonly dir: string) {}

  static async make(): Promise<FakeRun> {
    const run = new FakeRun(await mkdtemp(join(tmpdir(), 'patchwise-live-')));
    await writeFile(join(run.dir, 'config.json'), '{}');
    await writeFile(join(run.dir, 'metrics.jsonl'), '');
    await run.status('running', 0);
    return run;
  }

  /** `host` is another machine's, so that nobody looks for the processes here. */
  async status(state: string, step: number): Promise<void> {
    const status = {
      state,
      step,
      steps: 100,
      host: 'elsewhere',
      pids: { ranks: [] },
      heartbeats: [],
      restarts: 0,
    };
    await writeFile(join(this.dir, 'status.tmp'), JSON.stringify(status));
    await rename(join(this.dir, 'status.tmp'), join(this.dir, 'status.json'));
  }

  append(from: number, to: number): Promise<void> {
    const records = recordsOf(to).filter(({ step }) => step > from);
    return appendFile(
      join(this.dir, 'metrics.jsonl'),
      records.map((record) => `${JSON.stringify(record)}\n`).join(''),
    );
  }

  remove(): Promise<void> {
    return rm(this.dir, { recursive: true, force: true });
  }
}

/** A kernel's comms and displays, and what they were given. */
function makeKernel() {
  const sent: Sent[] = [];
  const closed: string[] = [];
  const displays: { bundle: MimeBundle; options: DisplayOptions }[] = [];
  const comms = new CommRegistry((type, content) => {
    if (type === 'comm_msg') sent.push(content.data as Sent);
    if (type === 'comm_close') closed.push(String(content.comm_id));
  });
  const outlet = {
    display: (bundle: MimeBundle, options: DisplayOptions) => void displays.push({ bundle, options }),
  };
  const live = new LiveFigures(outlet, new AsyncResource('test'));
  comms.register('patchwise.live', (comm, { data }) => void live.open(comm, data));
  const message = (content: Json) => ({ content, metadata: {}, buffers: [] }) as unknown as Message;
  const open = (id: string, data: Json) =>
    comms.handleOpen(message({ comm_id: id, target_name: 'patchwise.live', data }));
  return { sent, closed, displays, comms, live, open, message };
}

async function until<T>(get: () => T | undefined | false, patience = 5000): Promise<T> {
  for (const deadline = Date.now() + patience; Date.now() < deadline; ) {
    const value = get();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`not within ${patience} ms: ${get}`);
}

const lossOf = (sent: Sent) => sent.figure?.data.find(({ uid }) => uid === 'loss-train');

it('a comm that nobody can open leaves an open one of its id', () => {
  const { comms, closed, message } = makeKernel();
  comms.register('known', () => {});
  for (const target_name of ['known', 'unknown']) comms.handleOpen(message({ comm_id: 'a', target_name }));
  expect(closed).toEqual(['a']);
  expect(comms.info()).toEqual({ a: { target_name: 'known' } });
});

describe('a live figure', () => {
  let run: FakeRun;
  beforeEach(async () => {
    run = await FakeRun.make();
  });
  afterEach(() => run.remove());

  it('sends a front end the whole figure, then what is new, then that the run has ended', async () => {
    await run.append(0, 20);
    const { sent, open } = makeKernel();
    open('a', { dir: run.dir, id: 'toy' });
    const first = await until(() => sent[0]);
    expect(first.type).toBe('figure');
    expect(lossOf(first)!.x).toHaveLength(20);

    await run.append(20, 25);
    await run.status('running', 25);
    const points = await until(() => sent.find(({ type }) => type === 'points'));
    expect(points.points!['loss-train']!.x.at(-1)).toBe(25);
    expect(points.points!['secondsByRank-rank-1']!.x.at(-1)).toBe(25);
    await until(() => sent.find(({ layout }) => layout?.title.text.includes('step 25 of 100')));
    const known = sent
      .filter(({ type }) => type === 'points')
      .flatMap(({ points: p }) => p!['loss-train']?.x ?? []);
    expect(known).toEqual([21, 22, 23, 24, 25]); // every step once

    await run.append(25, 30);
    await run.status('done', 30);
    await until(() => sent.at(-1)?.type === 'ended');
    const last = sent.at(-2)!;
    expect(last.type).toBe('figure');
    expect(lossOf(last)!.x).toHaveLength(30);
    expect(last.figure!.layout.title.text).toContain('done · step 30');
  });

  it('sends a whole figure where a line is new', async () => {
    await run.append(0, 5);
    const { sent, open } = makeKernel();
    open('a', { dir: run.dir });
    await until(() => sent[0]);
    await run.append(5, 12); // step 10 brings the first validation
    const next = await until(() => sent.slice(1).find(({ type }) => type === 'figure'));
    expect(next.figure!.data.map(({ uid }) => uid)).toContain('psnr-validation');
  });

  it('coalesces: a burst of records is a message or two', async () => {
    const { sent, open } = makeKernel();
    open('a', { dir: run.dir });
    await until(() => sent[0]);
    for (let step = 0; step < 60; step++) await run.append(step, step + 1);
    await until(() =>
      sent.some((each) => lossOf(each)?.x.at(-1) === 60 || each.points?.['loss-train']?.x.at(-1) === 60),
    );
    expect(sent.length).toBeLessThan(8);
  });

  it('goes on for a page that was reloaded, and stops for one that closed', async () => {
    const { sent, open, comms, message } = makeKernel();
    open('a', { dir: run.dir });
    await until(() => sent[0]);
    comms.handleClose(message({ comm_id: 'a', data: {} }));
    await run.append(0, 10);
    open('b', { dir: run.dir });
    const again = await until(() => sent[1]);
    expect(lossOf(again)!.x).toHaveLength(10);
    await run.append(10, 11);
    await until(() => sent[2]);
    comms.handleClose(message({ comm_id: 'b', data: {} }));
    const count = sent.length;
    await run.append(11, 15);
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(sent).toHaveLength(count);
  });

  it('serves no page that closes before its run is found', async () => {
    const views = vi.spyOn(RunFollower.prototype, 'view');
    const { sent, open, comms, message } = makeKernel();
    open('a', { dir: run.dir });
    comms.handleClose(message({ comm_id: 'a', data: {} }));
    open('b', { dir: run.dir });
    await until(() => sent[0]);
    expect(views).toHaveBeenCalledTimes(1);
    views.mockRestore();
  });

  it('tells a front end that asks for a run it cannot find, and closes', async () => {
    const { sent, closed, open } = makeKernel();
    open('a', { dir: '/nowhere/at-all', id: 'nobody' });
    const error = await until(() => sent[0]);
    expect(error.type).toBe('error');
    expect(error.message).toContain('nobody');
    await until(() => closed.includes('a'));
  });

  it('replaces its display about once a second, and a last time at the end', async () => {
    await run.append(0, 3);
    const { displays, live } = makeKernel();
    await live.show([await attach(run.dir)]);
    expect(displays).toHaveLength(1);
    const [{ options, bundle }] = displays as [{ options: DisplayOptions; bundle: MimeBundle }];
    expect(options.update).toBeUndefined();
    expect((bundle[FIGURE_MIME] as { run: { dir: string } }).run.dir).toBe(run.dir);
    const began = Date.now();
    for (let step = 3; step < 40; step++) {
      await run.append(step, step + 1);
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    await run.status('done', 40);
    const last = await until(() =>
      displays.find((each) => String(each.bundle['text/plain']).includes('done')),
    );
    expect(last.options).toMatchObject({ id: options.id, update: true });
    expect(displays.length).toBeLessThanOrEqual(3 + (Date.now() - began) / 1000);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(displays.at(-1)).toBe(last);
  });

  it('says so where the folder of the run goes away', async () => {
    await run.append(0, 3);
    const { sent, open } = makeKernel();
    open('a', { dir: run.dir });
    await until(() => sent[0]);
    await run.remove();
    await until(() => sent.at(-1)?.type === 'ended');
    expect(sent.at(-2)!.figure!.layout.title.text).toMatch(/ · lost · .*status/);
  });

  it('shows the pictures of the latest validation, and sends new ones after the next', async () => {
    const slices = (step: number) => {
      const original = new Float32Array(4 * 2 * 2).map((_, i) => i / 8 - 1);
      const decoded = original.map((value) => value + 0.2);
      return writeLatestSlices(run.dir, middleSlices(step, [4, 2, 2], original, decoded));
    };
    slices(10);
    await run.append(0, 10);
    const { sent, open } = makeKernel();
    open('a', { dir: run.dir, id: 'toy' });
    const pictures = (figure: Sent['figure']) =>
      figure?.data
        .filter(({ uid }) => uid.startsWith('slice-'))
        .map((trace) => (trace as { name?: string }).name);
    expect(pictures((await until(() => sent[0])).figure)).toEqual([
      'validation, step 10',
      'reconstruction',
      'difference',
    ]);
    slices(20);
    await run.append(10, 20);
    await until(() => sent.find(({ figure }) => pictures(figure)?.[0] === 'validation, step 20'));
  });

  it('shows several runs in one figure, and goes on until the last of them has ended', async () => {
    const other = await FakeRun.make();
    try {
      await run.append(0, 20);
      await other.append(0, 10);
      const { sent, open, displays, live } = makeKernel();
      await live.show([await attach(run.dir), await attach(other.dir)]);
      expect((displays[0]!.bundle[FIGURE_MIME] as { runs: object[] }).runs).toHaveLength(2);
      open('a', { runs: [{ dir: run.dir }, { dir: other.dir }] });
      const { figure } = await until(() => sent[0]);
      const lengths = ['run0-loss-train', 'run1-loss-train'].map(
        (key) => figure!.data.find(({ uid }) => uid === key)!.x.length,
      );
      expect(lengths).toEqual([20, 10]);
      await run.append(20, 21);
      await run.status('done', 21);
      const lossOfFirst = (each: Sent) => each.figure?.data.find(({ uid }) => uid === 'run0-loss-train')?.x;
      const points = await until(() =>
        sent.find((each) => lossOfFirst(each)?.at(-1) === 21 || each.points?.['run0-loss-train']),
      );
      expect(points).toBeDefined();
      expect(sent.some(({ type }) => type === 'ended')).toBe(false);
      await other.append(10, 11);
      await other.status('done', 11);
      await until(() => sent.some(({ type }) => type === 'ended'));
      const last = sent.filter((each) => each.figure).at(-1)!.figure!;
      expect(last.data.find(({ uid }) => uid === 'run1-loss-train')!.x).toHaveLength(11);
    } finally {
      await other.remove();
    }
  });

  it('goes on with a run that is resumed from before its end', async () => {
    await run.append(0, 20);
    const { sent, open, displays, live } = makeKernel();
    await live.show([await attach(run.dir)]);
    open('a', { dir: run.dir });
    await until(() => sent[0]);
    await run.status('stopped', 20);
    await until(() => sent.at(-1)?.type === 'ended');
    open('late', { dir: run.dir }); // a page that was reloaded meanwhile
    await until(() => sent.filter(({ type }) => type === 'ended').length === 2);
    const before = sent.length;

    // The checkpoint was of step 15: the records after it are cut off.
    await writeFile(join(run.dir, 'metrics.jsonl'), '');
    await run.append(0, 15);
    await run.status('running', 15);
    await run.append(15, 17);
    const title = (each: Sent) => (each.figure?.layout ?? each.layout)?.title.text ?? '';
    await until(
      () => sent.slice(before).filter((each) => title(each).includes('running')).length >= 2,
      10_000,
    );
    await run.append(17, 24);
    const last = (each: Sent) => lossOf(each)?.x.at(-1) ?? each.points?.['loss-train']?.x.at(-1);
    await until(() => sent.slice(before).filter((each) => last(each) === 24).length === 2, 10_000);
    await until(() => String(displays.at(-1)!.bundle['text/plain']).includes('running'));

    await run.status('done', 24);
    await until(() => sent.filter(({ type }) => type === 'ended').length === 4);
    const whole = sent.filter(({ figure }) => figure).slice(-2);
    for (const each of whole) {
      expect(lossOf(each)!.x).toEqual(Array.from({ length: 24 }, (_, at) => at + 1)); // every step once
      expect(title(each)).toContain('done');
    }
    await until(() => String(displays.at(-1)!.bundle['text/plain']).includes('done'));
  }, 40_000);

  it('shows a run that has ended once', async () => {
    await run.append(0, 3);
    await run.status('done', 3);
    const { displays, live } = makeKernel();
    await live.show([await attach(run.dir)]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(String(displays.at(-1)!.bundle['text/plain'])).toContain('done · step 3');
  });
});
