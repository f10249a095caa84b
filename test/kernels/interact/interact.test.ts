import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { InteractNews } from '../../../kernels/browser/interact/messages';
import {
  type AnswerOutput,
  INTERACT_MIME,
  type StoredInteraction,
} from '../../../src/controls/interact-bundle';
import { RawKernel, until } from '../raw-kernel';

type State = InteractNews & { type: 'state' };

let kernel: RawKernel;
beforeAll(async () => {
  kernel = await RawKernel.start();
  await kernel.execute("import * as pw from 'patchwise';");
}, 60_000);
afterAll(() => kernel.stop());

/** A page as the kernel sees it: what it says, and what it has heard. */
class FakePage {
  static count = 0;
  readonly comm = `page-${++FakePage.count}`;

  constructor(id: string) {
    kernel.send('shell', 'comm_open', {
      comm_id: this.comm,
      target_name: 'patchwise.interact',
      data: { id },
    });
  }

  get news(): InteractNews[] {
    const mine = kernel.heard.filter(
      ({ type, content }) => type === 'comm_msg' && content.comm_id === this.comm,
    );
    return mine.map(({ content }) => content.data as unknown as InteractNews);
  }

  get last(): State | undefined {
    return this.news.findLast((one) => one.type === 'state');
  }

  get outputs(): readonly AnswerOutput[] {
    return this.news.findLast((one): one is State => one.type === 'state' && 'outputs' in one)?.outputs ?? [];
  }

  get text(): string {
    return textOf(this.outputs);
  }

  set(values: object): void {
    kernel.send('shell', 'comm_msg', { comm_id: this.comm, data: { type: 'set', values } });
  }

  press(name: string): void {
    kernel.send('shell', 'comm_msg', { comm_id: this.comm, data: { type: 'press', name } });
  }

  /** Resolves with the text of the answer once there is one for all that was said. */
  async answered(seen: number): Promise<string> {
    await until(() => this.last?.seen === seen && !this.last.running);
    return this.text;
  }
}

function textOf(outputs: readonly AnswerOutput[]): string {
  const texts = outputs.map((output) => {
    if (output.output_type === 'stream') return `${output.name}: ${output.text.trim()}`;
    if (output.output_type === 'error') return stripVTControlCharacters(output.traceback.join('\n'));
    return String(output.data['text/plain']);
  });
  return texts.join('\n');
}

/** The stored interaction in the last display, or its replacement, of a cell. */
function storedIn(heard: typeof kernel.heard): StoredInteraction {
  const shown = heard.findLast(({ content }) => content.data && INTERACT_MIME in content.data);
  return shown!.content.data[INTERACT_MIME] as unknown as StoredInteraction;
}

async function interact(source: string, metadata: object = {}): Promise<StoredInteraction> {
  const { reply, outputs } = await kernel.finished(kernel.begin(source, {}, metadata));
  if (reply.status !== 'ok') throw new Error(stripVTControlCharacters(reply.traceback.join('\n')));
  const [shown, ...others] = outputs;
  expect([shown!.type, ...others.map(({ type }) => type)].slice(1)).not.toContain('execute_result');
  return storedIn([shown!, ...others]);
}

describe('an interaction in a kernel', () => {
  beforeEach(() => {
    kernel.heard.length = 0;
  });

  it('is shown with its first answer, and answers every kind of control', async () => {
    const stored = await interact(`pw.interact(
      { z: [0, 10], overlap: [0, 0.5], window: pw.windowNames, sharp: false, name: 'a', size: pw.choice([16, 32]), more: pw.button('More') },
      (values) => pw.json(values))`);
    const first = { z: 5, overlap: 0.25, window: 'constant', sharp: false, name: 'a', size: 16, more: 0 };
    expect(stored.values).toEqual(first);
    expect(stored.outputs).toMatchObject([{ data: { 'application/json': first } }]);
    const page = new FakePage(stored.id);
    const moves = { z: 7, overlap: 0.4, window: 'gaussian', sharp: true, name: 'b', size: 32 };
    for (const [name, value] of Object.entries(moves)) page.set({ [name]: value });
    page.press('more');
    page.press('more');
    await page.answered(8);
    expect(page.outputs).toMatchObject([{ data: { 'application/json': { ...moves, more: 2 } } }]);
    expect(page.last!.values).toEqual({ ...moves, more: 2 });
  });

  it('takes no value that a control cannot have', async () => {
    const stored = await interact(
      'pw.interact({ z: [0, 10], window: ["a", "b"], on: true, b: pw.button("b") }, () => 1)',
    );
    const page = new FakePage(stored.id);
    page.set({ z: 99 });
    for (const bad of [
      { z: 'a' },
      { z: null },
      { window: 'c' },
      { on: 1 },
      { other: 1 },
      { b: 0.5 },
      {},
      [],
      7,
    ])
      page.set(bad as object);
    page.press('z');
    page.press('nobody');
    await page.answered(12);
    expect(page.last!.values).toEqual({ z: 10, window: 'a', on: true, b: 0 });
    expect(page.last!.answer).toBe(2);
  });

  it('of 200 fast moves ends with the last, makes one answer at a time, and aborts those before', async () => {
    const stored = await interact(`let [now, most, calls, aborted] = [0, 0, 0, 0];
      pw.interact({ z: [0, 603] }, async ({ z }, { signal }) => {
        calls++;
        most = Math.max(most, ++now);
        signal.addEventListener('abort', () => aborted++);
        await new Promise((done) => setTimeout(done, 20));
        now--;
        return z;
      })`);
    const page = new FakePage(stored.id);
    for (let z = 1; z <= 200; z++) {
      page.set({ z });
      if (z % 10 === 0) await sleep(10);
    }
    expect(await page.answered(200)).toBe('200');
    expect(page.last!.values).toEqual({ z: 200 });
    const [most, calls, aborted] = JSON.parse(
      (await kernel.value('JSON.stringify([most, calls, aborted])'))!.slice(1, -1),
    );
    expect(most).toBe(1);
    expect(calls).toBeLessThan(60);
    expect(aborted).toBeGreaterThan(0);
    expect(aborted).toBeLessThanOrEqual(calls - 1);
    // The answer after the last move is the last one, and nothing runs on.
    await sleep(100);
    expect(await kernel.value('calls')).toBe(String(calls));
  });

  it('moves the picture while a slow slider moves, but shows nothing of a call that gave up', async () => {
    const stored =
      await interact(`pw.interact({ z: [0, 100], polite: false }, async ({ z, polite }, { signal }) => {
      await new Promise((done) => setTimeout(done, 30));
      if (polite) signal.throwIfAborted();
      return z;
    })`);
    const page = new FakePage(stored.id);
    const drag = async (from: number): Promise<string[]> => {
      const before = page.news.length;
      for (let z = from; z < from + 30; z++) {
        page.set({ z });
        await sleep(15);
      }
      await until(() => page.text === String(from + 29));
      return page.news.slice(before).flatMap((one) => ('outputs' in one ? [textOf(one.outputs!)] : []));
    };
    const late = await drag(1);
    expect(late.length).toBeGreaterThan(5);
    page.set({ polite: true });
    await sleep(100);
    const polite = await drag(40);
    expect(polite.length).toBeLessThan(late.length / 2);
    expect(polite.join()).not.toContain('Abort');
  });

  it('keeps several pages in step, tells a new page all, and replaces what is stored', async () => {
    const stored = await interact("pw.interact({ z: [0, 10] }, ({ z }) => 'slice ' + z)");
    kernel.heard.length = 0;
    const [one, other] = [new FakePage(stored.id), new FakePage(stored.id)];
    one.set({ z: 3 });
    await one.answered(1);
    await until(() => other.text === "'slice 3'");
    other.set({ z: 4 });
    await until(() => one.text === "'slice 4'");
    const reloaded = new FakePage(stored.id);
    await until(() => reloaded.last);
    expect(reloaded.last).toMatchObject({ values: { z: 4 }, seen: 0, running: false });
    expect(reloaded.text).toBe("'slice 4'");
    const replaced = await until(() =>
      kernel.heard.find(({ content: { transient } }) => transient?.display_id?.endsWith(stored.id)),
    );
    expect(replaced.content.data['text/plain']).toBe("z = 4\n'slice 4'");
    expect(storedIn(kernel.heard)).toMatchObject({ id: stored.id, values: { z: 4 }, answer: 3 });
  });

  it('gathers what an answer prints and displays, apart from the cell that runs meanwhile', async () => {
    const stored = await interact(`pw.interact({ z: [0, 10] }, async ({ z }) => {
      console.log('before', z);
      await new Promise((done) => setTimeout(done, 20));
      console.error('trouble');
      pw.display(pw.html('<b>bold</b>'), { id: 'x' });
      pw.display(pw.html('<b>bolder</b>'), { id: 'x' });
      setTimeout(() => console.log('late'), 50);
      return pw.markdown('# done');
    })`);
    kernel.heard.length = 0;
    const page = new FakePage(stored.id);
    const cell = kernel.begin(
      'for (let i = 0; i < 20; i++) { console.log("cell", i); await new Promise((r) => setTimeout(r, 10)); }',
    );
    await sleep(30);
    page.set({ z: 1 });
    expect(await page.answered(1)).toBe('stdout: before 1\nstderr: trouble\nbolder\n# done');
    expect(page.outputs[3]).toMatchObject({ data: { 'text/markdown': '# done' } });
    await kernel.finished(cell);
    expect(kernel.textOf(cell)).not.toContain('before');
    expect(kernel.textOf(cell).match(/cell/g)).toHaveLength(20);
  });

  it('shows an error with the line of the cell, and goes on', async () => {
    const stored = await interact(`pw.interact({ z: [0, 10] }, ({ z }) => {
      if (z === 3) throw new RangeError('no slice 3');
      return z;
    })`);
    const page = new FakePage(stored.id);
    page.set({ z: 3 });
    const text = await page.answered(1);
    expect(text).toMatch(/^RangeError: no slice 3/);
    expect(text).toMatch(/Cell \[\d+\]:2:/);
    page.set({ z: 4 });
    expect(await page.answered(2)).toBe('4');
    const { reply } = await kernel.execute('1');
    expect(reply.status).toBe('ok');
  });

  it('shows the error of an answer that nobody can be sent, and goes on', async () => {
    const stored = await interact(`pw.interact({ z: [0, 10] }, ({ z }) => {
      const bad = { [Symbol.for('Jupyter.display')]: () => ({ 'application/json': { z: 1n } }) };
      if (z === 3) return bad;
      if (z === 4) pw.display(bad);
      return z;
    })`);
    const page = new FakePage(stored.id);
    page.set({ z: 3 });
    expect(await page.answered(1)).toMatch(/^TypeError: .*BigInt/);
    page.set({ z: 4 });
    expect(await page.answered(2)).toMatch(/^TypeError: .*BigInt/);
    page.set({ z: 5 });
    expect(await page.answered(3)).toBe('5');
  });

  it('cannot ask the person by a prompt once its cell has ended, and says so', async () => {
    const stored = await interact(
      "pw.interact({ z: [0, 10] }, async ({ z }) => (z === 3 ? await pw.input('who? ') : z))",
    );
    const page = new FakePage(stored.id);
    page.set({ z: 3 });
    expect(await page.answered(1)).toContain('input: only a cell that runs can ask; use a text control');
  });

  it('ends what an answer shows once the next ones have replaced it, unless they show it too', async () => {
    const stored = await interact(`const calls = { own: 0 };
      let kept: ReturnType<typeof pw.interact> | undefined;
      pw.interact({ z: [0, 10], keep: false }, ({ z, keep }) => {
        if (keep) return (kept ??= pw.interact({ y: [0, 10] }, ({ y }) => y));
        pw.display(pw.widget({ esm: 'export default {}', state: { z } }));
        return pw.interact({ y: [0, 10] }, ({ y }) => { calls.own++; return y; });
      })`);
    const page = new FakePage(stored.id);
    const inner = () =>
      page.outputs.map((one) => ('data' in one ? one.data : {})[INTERACT_MIME] as StoredInteraction);
    const first =
      inner().at(-1) ??
      (stored.outputs.at(-1) as { data: Record<string, StoredInteraction> }).data[INTERACT_MIME]!;
    const inside = new FakePage(first.id);
    inside.set({ y: 7 });
    expect(await inside.answered(1)).toBe('7');
    for (const [at, z] of [1, 2].entries()) {
      page.set({ z });
      await page.answered(at + 1);
    }
    await until(() => inside.news.at(-1)?.type === 'gone');
    page.set({ keep: true });
    await page.answered(3);
    const lasting = new FakePage(inner().at(-1)!.id);
    for (let z = 3; z < 7; z++) {
      page.set({ z });
      await page.answered(z + 1);
    }
    lasting.set({ y: 2 });
    expect(await lasting.answered(1)).toBe('2');
    // What the code holds ends while no answer shows it, and begins again with the next that does.
    for (const [at, keep] of [false, false, true].entries()) {
      page.set({ keep, z: at });
      await page.answered(8 + at);
    }
    const again = new FakePage(inner().at(-1)!.id);
    again.set({ y: 9 });
    expect(await again.answered(1)).toBe('9');
  });

  it.each([
    ['a wait that never ends', 'await new Promise(() => {})'],
    ['an endless loop', 'while (true);'],
    ['an endless loop after a wait', 'await new Promise((r) => setTimeout(r, 10)); while (true);'],
  ])('an interrupt ends %s', async (_, work) => {
    const stored = await interact(`let ended = 0;
      pw.interact({ z: [0, 10] }, async ({ z }, { signal }) => {
        signal.addEventListener('abort', () => ended++);
        if (z === 3) { ${work} }
        return z;
      })`);
    const page = new FakePage(stored.id);
    page.set({ z: 3 });
    await until(() => page.last?.running && page.last.seen === 1);
    await sleep(200);
    kernel.send('control', 'interrupt_request', {});
    expect(await page.answered(1)).toMatch(/Interrupted/);
    expect(await kernel.value('ended')).toBe('1');
    page.set({ z: 4 });
    expect(await page.answered(2)).toBe('4');
  });

  it('an interrupt ends a cell and the answer that runs beside it, and the next ones run', async () => {
    const stored = await interact(`pw.interact({ z: [0, 10] }, async ({ z }) => {
      if (z === 3) await new Promise(() => {});
      return z;
    })`);
    const page = new FakePage(stored.id);
    const cell = await kernel.running('for (;;) await new Promise((done) => setTimeout(done, 5));');
    page.set({ z: 3 });
    await until(() => page.last?.running && page.last.seen === 1);
    await sleep(100);
    kernel.send('control', 'interrupt_request', {});
    expect((await kernel.finished(cell)).reply.ename).toBe('Interrupted');
    expect(await page.answered(1)).toMatch(/Interrupted/);
    // A cell that began before the answer, and outlives it, can still be interrupted.
    const other = await kernel.running('for (;;) await new Promise((done) => setTimeout(done, 5));');
    page.set({ z: 5 });
    expect(await page.answered(2)).toBe('5');
    kernel.send('control', 'interrupt_request', {});
    expect((await kernel.finished(other)).reply.ename).toBe('Interrupted');
  });

  it('is quiet once its cell runs again, and unknown to a kernel that never had it', async () => {
    const source = `let calls = 0; pw.interact({ z: [0, 10] }, ({ z }) => { calls++; return z; })`;
    const first = await interact(source, { cellId: 'one' });
    const page = new FakePage(first.id);
    await until(() => page.last);
    const second = await interact(source, { cellId: 'one' });
    expect(second.id).not.toBe(first.id);
    await until(() => page.news.at(-1)?.type === 'gone');
    page.set({ z: 1 });
    const stranger = new FakePage('of another kernel');
    await until(() => stranger.news.at(-1)?.type === 'gone');
    expect(await kernel.value('calls')).toBe('1');
    const living = new FakePage(second.id);
    await interact(source, { cellId: 'another' });
    living.set({ z: 2 });
    expect(await living.answered(1)).toBe('2');
  });

  it('shows its controls before a slow first answer', async () => {
    const cell = kernel.begin(
      'pw.interact({ z: [0, 10] }, async ({ z }) => { await new Promise((r) => setTimeout(r, 900)); return z; })',
    );
    const shown = await until(() => kernel.heard.find(({ type }) => type === 'display_data'));
    const { display_id } = shown.content.transient;
    expect(shown.content.data[INTERACT_MIME]).toMatchObject({ answer: 0, outputs: [] });
    await kernel.finished(cell);
    const own = kernel.outputsOf(cell).filter(({ content }) => content.transient.display_id === display_id);
    expect(own.map(({ type }) => type)).toEqual(['display_data', 'update_display_data']);
    expect(storedIn(own)).toMatchObject({ answer: 1 });
  });

  it('shows what display shows: figures, tables, volumes, promises of them, and nothing', async () => {
    const stored =
      await interact(`pw.interact({ what: ['figure', 'table', 'volume', 'promise', 'nothing', 'inner'] }, ({ what }) => {
      if (what === 'figure') return new pw.Figure([], {}, 'a figure');
      if (what === 'table') return new pw.Table({ columns: ['a'], rows: [[1]] });
      if (what === 'volume') return pw.phantom({ shape: [16, 16, 16], seed: 1 });
      if (what === 'promise') return Promise.resolve(pw.latex('x^2'));
      if (what === 'inner') return pw.interact({ b: true }, ({ b }) => b);
    })`);
    const page = new FakePage(stored.id);
    const types = async (what: string, seen: number): Promise<string[][]> => {
      page.set({ what });
      await page.answered(seen);
      return page.outputs.map((output) =>
        'data' in output ? Object.keys(output.data) : [output.output_type],
      );
    };
    expect(stored.outputs).toHaveLength(1);
    expect((await types('table', 1))[0]).toContain('text/html');
    expect((await types('volume', 2))[0]!.join()).toMatch(/patchwise/);
    expect((await types('promise', 3))[0]).toContain('text/latex');
    expect(await types('nothing', 4)).toEqual([]);
    expect((await types('inner', 5))[0]).toContain(INTERACT_MIME);
    expect((await types('figure', 6))[0]).toContain('image/svg+xml');
  });

  it('holds no more memory after 2,000 moves than after 200', async () => {
    const stored = await interact(`const heap = () => {
        (globalThis as unknown as { v8gc?: () => void }).v8gc ??= (() => {
          require('node:v8').setFlagsFromString('--expose-gc');
          return require('node:vm').runInNewContext('gc');
        })();
        for (let i = 0; i < 6; i++) (globalThis as unknown as { v8gc: () => void }).v8gc();
        return process.memoryUsage().heapUsed;
      };
      pw.interact({ z: [0, 10000] }, async ({ z }) => { await null; console.log(z); return pw.html('x'.repeat(20_000) + z); })`);
    const page = new FakePage(stored.id);
    let moves = 0;
    const move = async (count: number): Promise<number> => {
      for (let i = 0; i < count; i++) {
        page.set({ z: ++moves });
        await sleep(1);
      }
      await page.answered(moves);
      kernel.heard.splice(0, kernel.heard.length - 2);
      return Number(await kernel.value('heap()'));
    };
    await move(300);
    const before = await move(200);
    const after = await move(2000);
    expect(after - before).toBeLessThan(1_500_000);
  }, 120_000);
});
