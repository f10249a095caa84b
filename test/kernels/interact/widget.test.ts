import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { WidgetMessage } from '../../../kernels/browser/widget/messages';
import { type StoredWidget, WIDGET_MIME } from '../../../src/controls/widget-bundle';
import { RawKernel, type Received, until } from '../raw-kernel';

let kernel: RawKernel;
beforeAll(async () => {
  kernel = await RawKernel.start();
  await kernel.execute("import * as pw from 'patchwise';");
}, 60_000);
afterAll(() => kernel.stop());

class FakePage {
  static count = 0;
  readonly comm = `widget-${++FakePage.count}`;

  constructor(id: string) {
    kernel.send('shell', 'comm_open', { comm_id: this.comm, target_name: 'patchwise.widget', data: { id } });
  }

  get heard(): (WidgetMessage & { buffers: Buffer[] })[] {
    const mine = kernel.heard.filter(
      ({ type, content }) => type === 'comm_msg' && content.comm_id === this.comm,
    );
    return mine.map(({ content, buffers }) => ({ ...(content.data as unknown as WidgetMessage), buffers }));
  }

  update(state: object, buffer_paths: unknown = [], buffers: Uint8Array[] = []): void {
    const data = { type: 'update', state, buffer_paths };
    kernel.send('shell', 'comm_msg', { comm_id: this.comm, data }, buffers);
  }

  send(content: unknown, buffers: Uint8Array[] = []): void {
    kernel.send('shell', 'comm_msg', { comm_id: this.comm, data: { type: 'custom', content } }, buffers);
  }
}

const storedIn = (heard: readonly Received[]): StoredWidget =>
  heard.findLast(({ content }) => content.data && WIDGET_MIME in content.data)!.content.data[
    WIDGET_MIME
  ] as unknown as StoredWidget;

async function show(source: string, metadata: object = {}): Promise<StoredWidget> {
  const { reply, outputs } = await kernel.finished(kernel.begin(source, {}, metadata));
  expect(reply.status, reply.traceback?.join('\n')).toBe('ok');
  expect(outputs.map(({ type }) => type)).toContain('display_data');
  return storedIn(outputs);
}

const esm = "'export default { render() {} }'";

describe('a widget in a kernel', () => {
  beforeEach(() => {
    kernel.heard.length = 0;
  });

  it('shares its values with pages, both ways, and with all of them', async () => {
    const stored =
      await show(`const w = pw.widget({ esm: ${esm}, css: 'p {}', state: { count: 1, list: [1, 2] } });
      const heard: unknown[] = [];
      w.on('change', (changes) => heard.push(changes));
      w`);
    expect(stored).toMatchObject({ esm: 'export default { render() {} }', css: 'p {}', buffers: [] });
    expect(stored.state).toEqual({ count: 1, list: [1, 2] });
    const [one, other] = [new FakePage(stored.id), new FakePage(stored.id)];
    await until(() => other.heard[0]);
    expect(one.heard[0]).toMatchObject({
      type: 'update',
      state: { count: 1, list: [1, 2] },
      buffer_paths: [],
    });
    one.update({ count: 5, unknown: 1 });
    await until(() => other.heard.find((message) => message.type === 'update' && message.state.count === 5));
    expect(one.heard).toHaveLength(1); // no echo
    expect(await kernel.value('w.get("count")')).toBe('5');
    expect(await kernel.value('JSON.stringify(heard)')).toBe(`'[{"count":5}]'`);
    await kernel.execute('w.set({ count: 6 })');
    await until(() => one.heard.length === 2 && other.heard.length === 3);
    expect(one.heard[1]).toMatchObject({ type: 'update', state: { count: 6 } });
    const late = new FakePage(stored.id);
    await until(() => late.heard[0]);
    expect(late.heard[0]).toMatchObject({ state: { count: 6, list: [1, 2] } });
    const replaced = () => kernel.heard.filter(({ type }) => type === 'update_display_data');
    await until(() => replaced().length > 0 && storedIn(replaced()).state.count === 6);
    expect(storedIn(replaced()).state).toEqual({ count: 6, list: [1, 2] });
  });

  it('carries bytes apart from JSON, and keeps the type of an array', async () => {
    const stored = await show(`const b = pw.widget({ esm: ${esm}, state: {
        pixels: new Float32Array([1, 2, 3]), deep: { list: [new Uint8Array([7, 8])] }, odd: new Int16Array(2), none: null as Uint8Array | null } });
      b`);
    expect(stored.state).toEqual({ pixels: null, deep: { list: [null] }, odd: null, none: null });
    expect(stored.buffers).toEqual([
      { path: ['pixels'], data: Buffer.from(new Float32Array([1, 2, 3]).buffer).toString('base64') },
      { path: ['deep', 'list', 0], data: 'Bwg=' },
      { path: ['odd'], data: 'AAAAAA==' },
    ]);
    const page = new FakePage(stored.id);
    await until(() => page.heard[0]);
    expect(page.heard[0]!.buffers.map((bytes) => [...bytes])).toEqual([
      [0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64],
      [7, 8],
      [0, 0, 0, 0],
    ]);
    const floats = new Uint8Array(new Float32Array([4, 5]).buffer);
    page.update(
      { pixels: null, odd: null, none: null },
      [['pixels'], ['odd'], ['none'], ['nowhere'], 'a', ['__proto__', 'x']],
      [floats, new Uint8Array(3), new Uint8Array([1]), floats, floats, floats],
    );
    await until(async () => (await kernel.value('b.get("pixels").length')) === '2');
    expect(await kernel.value('b.get("pixels")')).toBe('Float32Array(2) [ 4, 5 ]');
    expect(await kernel.value('b.get("odd")')).toBe('Uint8Array(3) [ 0, 0, 0 ]');
    expect(await kernel.value('b.get("none")')).toBe('Uint8Array(1) [ 1 ]');
  });

  it('hears and sends messages with bytes, until it no longer listens', async () => {
    const stored = await show(`const m = pw.widget({ esm: ${esm}, state: {} });
      const off = m.on('message', (content, [bytes]) => m.send({ echo: content }, [bytes.map((value) => value + 1)]));
      m`);
    const page = new FakePage(stored.id);
    page.send({ ping: 1 }, [new Uint8Array([1, 2])]);
    const answer = await until(() => page.heard.find(({ type }) => type === 'custom'));
    expect(answer).toMatchObject({ content: { echo: { ping: 1 } } });
    expect([...answer.buffers[0]!]).toEqual([2, 3]);
    await kernel.execute('off()');
    page.send({ ping: 2 }, [new Uint8Array(1)]);
    await kernel.execute('1');
    expect(page.heard.filter(({ type }) => type === 'custom')).toHaveLength(1);
  });

  it('reports an error of a listener at its cell, and goes on', async () => {
    const cell = kernel.begin(`const e = pw.widget({ esm: ${esm}, state: { n: 0 } });
      e.on('change', ({ n }) => { console.log('n is', n); if (n === 1) throw new RangeError('not one'); });
      e`);
    await kernel.finished(cell);
    const page = new FakePage(storedIn(kernel.heard).id);
    page.update({ n: 1 });
    await until(() => kernel.textOf(cell).includes('not one'));
    expect(kernel.textOf(cell)).toMatch(/n is 1\n[\s\S]*RangeError[\s\S]*Cell \[\d+\]:2:/);
    page.update({ n: 2 });
    await until(() => kernel.textOf(cell).includes('n is 2'));
  });

  it('is quiet once its cell runs again', async () => {
    const source = `const q = pw.widget({ esm: ${esm}, state: {} }); q`;
    const page = new FakePage((await show(source, { cellId: 'w' })).id);
    await until(() => page.heard[0]);
    await show(source, { cellId: 'w' });
    await until(() => page.heard.at(-1)?.type === 'gone');
  });

  it('takes files, and says what it cannot take', async () => {
    writeFileSync(join(kernel.folder, 'own.js'), 'export default {}');
    const stored = await show("const f = pw.widget({ esm: 'own.js', css: '.a { top: 0 }', state: {} }); f");
    expect(stored).toMatchObject({ esm: 'export default {}', css: '.a { top: 0 }' });
    const failure = async (options: string) => (await kernel.failure(`pw.widget(${options})`)).text;
    expect(await failure("{ esm: 'missing.js', state: {} }")).toContain(
      'missing.js: expected a file of text',
    );
    expect(await failure("{ esm: 'https://example.org/x.js', state: {} }")).toContain('esm: expected');
    expect(await failure("{ esm: ' ', state: {} }")).toContain('esm: expected');
    expect(await failure("{ esm: 'widget.ts', state: {} }")).toContain('esm: expected');
    expect(await failure('{ esm: 5 as never, state: {} }')).toContain('esm: expected');
    expect(await failure(`{ esm: ${esm}, css: 5 as never, state: {} }`)).toContain('css: expected');
  });

  it('takes no value that a page could not be told of, and stays as it was', async () => {
    const failure = async (code: string) => (await kernel.failure(code)).text;
    const refused = async (state: string) => failure(`pw.widget({ esm: ${esm}, state: ${state} })`);
    expect(await refused('{ list: [1, { big: 1n }] }')).toContain('state.list.1.big: expected JSON');
    expect(await refused('{ f: () => 1 }')).toContain('state.f: expected JSON');
    expect(await refused('{ m: new Map() }')).toContain('state.m: expected JSON');
    expect(await refused('[1] as never')).toContain('state: expected an object');
    expect(await refused('null as never')).toContain('state: expected an object');
    expect(await refused('(() => { const a: { a?: object } = {}; a.a = a; return a; })()')).toContain(
      'state.a: expected a value that does not contain itself',
    );
    expect(await refused('(() => { const a: unknown[] = []; a.push(a); return { a }; })()')).toContain(
      'state.a.0: expected a value that does not contain itself',
    );
    const twice = await show(`const part = [1];
      const n = pw.widget({ esm: ${esm}, state: { a: part, b: part, at: new Date(0), of: 1 as unknown } }); n`);
    expect(twice.state).toEqual({ a: [1], b: [1], at: '1970-01-01T00:00:00.000Z', of: 1 });
    expect(await failure('n.set({ of: 1n })')).toContain('values.of: expected JSON');
    expect(await kernel.value('n.get("of")')).toBe('1');
  });

  it('takes no value from a page that it does not have', async () => {
    const stored = await show(`const k = pw.widget({ esm: ${esm}, state: { a: 1 } });
      const told: unknown[] = [];
      k.on('change', (changes) => told.push(Object.keys(changes)));
      k`);
    const [one, other] = [new FakePage(stored.id), new FakePage(stored.id)];
    await until(() => other.heard[0]);
    one.update(JSON.parse('{ "toString": 1, "constructor": 2, "__proto__": { "x": 1 }, "b": 3, "a": 9 }'));
    await until(() => other.heard[1]);
    expect(other.heard[1]).toMatchObject({ state: { a: 9 } });
    expect(Object.keys((other.heard[1] as unknown as { state: object }).state)).toEqual(['a']);
    expect(await kernel.value('JSON.stringify(told)')).toBe(`'[["a"]]'`);
    expect(await kernel.value('k.get("toString" as never) === Object.prototype.toString')).toBe('true');
  });

  it("answers the commands that a page's code calls, also where they fail", async () => {
    const stored = await show(`const c = pw.widget({ esm: ${esm}, state: {}, commands: {
        shout: async (message, [bytes]) => [String(message).toUpperCase(), [bytes!.map((one) => one + 1)]],
        fail: () => { throw new RangeError('no such slice'); },
        odd: () => [1n],
      } });
      c.on('message', (content) => console.log('a message', content));
      c`);
    const page = new FakePage(stored.id);
    await until(() => page.heard[0]);
    const call = async (name: string, id: string) => {
      page.send({ id, kind: 'anywidget-command', name, msg: 'hello' }, [new Uint8Array([1, 2])]);
      const isMine = ({ content }: { content: { id: string } }) => content.id === id;
      return until(() =>
        page.heard
          .filter(({ type }) => type === 'custom')
          .map((heard) => heard as unknown as { content: { id: string }; buffers: Buffer[] })
          .find(isMine),
      );
    };
    const { content, buffers } = await call('shout', 'a');
    expect(content).toEqual({ id: 'a', kind: 'anywidget-command-response', response: 'HELLO' });
    expect(buffers.map((bytes) => [...bytes])).toEqual([[2, 3]]);
    expect((await call('fail', 'b')).content).toMatchObject({ error: 'no such slice' });
    expect((await call('odd', 'c')).content).toMatchObject({ error: expect.stringContaining('BigInt') });
    const unknown = (await call('toString', 'd')).content as unknown as { error: string };
    expect(unknown.error).toMatch(/invoke: expected the name of a command.*shout, fail, odd/);
    const printed = kernel.heard.filter(({ type }) => type === 'stream').map((one) => one.content.text);
    expect(printed.join('')).toContain('no such slice');
    expect(printed.join('')).not.toContain('a message');
  });
});
