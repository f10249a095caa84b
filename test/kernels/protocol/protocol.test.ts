import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Random } from '../../../src/random';
import { KEY, RawKernel, until } from '../raw-kernel';

let kernel: RawKernel;
beforeAll(async () => {
  kernel = await RawKernel.start();
});
afterAll(() => kernel.stop());

it('kernel_info names the protocol and the language', async () => {
  const info = await kernel.request('kernel_info_request', {});
  expect(info).toMatchObject({ status: 'ok', protocol_version: '5.4', implementation: 'patchwise' });
  expect(info.language_info).toMatchObject({ name: 'typescript', file_extension: '.ts' });
});

it('a message with a wrong signature is not executed', async () => {
  const forged = kernel.frames('execute_request', { code: 'console.log("forged")' }, 'f'.repeat(64));
  await kernel.sockets.shell.send(forged);
  const { reply } = await kernel.execute('1');
  expect(reply.status).toBe('ok');
  expect(JSON.stringify(kernel.heard)).not.toContain('forged');
  expect(kernel.stderr).toContain('wrong signature');
});

it('a replayed message is executed once', async () => {
  const frames = kernel.frames('execute_request', { code: 'console.log("once")' });
  await kernel.sockets.shell.send(frames);
  await kernel.sockets.shell.send(frames);
  await kernel.execute('2');
  const text = kernel.heard.filter(({ type }) => type === 'stream').map(({ content }) => content.text);
  expect(text.join('')).toBe('once\n');
});

it('1,000 broken messages are dropped and the next good one is answered', async () => {
  const random = new Random(7);
  const pick = (below: number): number => random.below(below);
  for (let at = 0; at < 1000; at++) {
    const frames = kernel.frames('execute_request', { code: 'console.log("broken")' });
    const bytes = frames.map((frame) => Buffer.from(frame));
    const kind = at % 5;
    if (kind === 0) bytes.splice(pick(bytes.length), 1); // a frame is missing
    if (kind === 1) bytes[1 + pick(5)]![0]! ^= 1; // a bit has flipped
    if (kind === 2) bytes.length = pick(bytes.length); // cut short
    if (kind === 3) bytes.splice(0, 6, Buffer.from('noise'), Buffer.alloc(pick(100), at)); // not a message at all
    if (kind === 4) bytes[0] = Buffer.from('<IDS|MSG'); // a delimiter that is none
    await kernel.sockets[at % 2 ? 'shell' : 'control'].send(bytes.length > 0 ? bytes : ['']);
  }
  for (const header of ['[]', 'null', '{"msg_id": 1}', '{', '"text"']) {
    const parts = [header, '{}', '{}', '{}'];
    const signature = createHmac('sha256', KEY).update(parts.join('')).digest('hex');
    await kernel.sockets.shell.send(['<IDS|MSG>', signature, ...parts]);
  }
  const { reply } = await kernel.execute('40 + 2');
  expect(reply.status).toBe('ok');
  expect(JSON.stringify(kernel.heard)).not.toContain('broken"');
});

it('an unknown request is ignored between busy and idle', async () => {
  const id = kernel.send('shell', 'tea_request', {});
  const states = await until(() => {
    const found = kernel.heard.filter(({ parent }) => parent === id);
    return found.length === 2 && found.map(({ content }) => content.execution_state);
  });
  expect(states).toEqual(['busy', 'idle']);
});

it('debug_request is refused politely', async () => {
  const reply = await kernel.request('debug_request', { command: 'initialize', seq: 3 }, 'control');
  expect(reply).toMatchObject({ success: false, command: 'initialize', request_seq: 3 });
});

it('completion of members, with kinds and code point cursors', async () => {
  await kernel.execute('const volume = { spacing: [1, 1, 1], shape: [4, 4, 4] }');
  const code = "'\u{1F9E0}'; volume.sp";
  const cursor = [...code].length; // an astral character counts once
  const reply = await kernel.request('complete_request', { code, cursor_pos: cursor });
  expect(reply.matches[0]).toBe('spacing');
  expect([reply.cursor_start, reply.cursor_end]).toEqual([cursor - 2, cursor]);
  expect(reply.metadata._jupyter_types_experimental[0]).toMatchObject({ text: 'spacing', type: 'property' });
});

it('inspection shows signature and docs, also from between the brackets of a call', async () => {
  await kernel.execute('/** Twice as much. */\nfunction twice(x: number): number { return 2 * x }');
  for (const [code, cursor_pos] of [
    ['twice(3)', 2],
    ['twice(', 6],
  ] as const) {
    const reply = await kernel.request('inspect_request', { code, cursor_pos, detail_level: 0 });
    expect(reply.found).toBe(true);
    expect(reply.data['text/plain']).toContain('twice(x: number): number');
    expect(reply.data['text/markdown']).toContain('Twice as much.');
  }
  const nothing = await kernel.request('inspect_request', { code: '   ', cursor_pos: 1, detail_level: 0 });
  expect(nothing).toMatchObject({ status: 'ok', found: false });
});

it('is_complete tells complete, incomplete and invalid apart', async () => {
  const status = async (code: string) => (await kernel.request('is_complete_request', { code })).status;
  expect(await status('1 + 1')).toBe('complete');
  expect(await status('await Promise.resolve(1)')).toBe('complete');
  expect(await status('for (const x of [1]) {')).toBe('incomplete');
  expect(await status('const = 3')).toBe('invalid');
});

it('history by tail, range and search', async () => {
  await kernel.execute('const searched = 1');
  await kernel.execute('searched + 1');
  const tail = (await kernel.request('history_request', { hist_access_type: 'tail', n: 2, output: true }))
    .history;
  expect(tail.map(([, , cell]) => cell)).toEqual([
    ['const searched = 1', null],
    ['searched + 1', '2'],
  ]);
  const [session, line] = tail[0]!;
  const range = { hist_access_type: 'range', session, start: line, stop: line + 1 };
  expect((await kernel.request('history_request', range)).history).toEqual([
    [session, line, 'const searched = 1'],
  ]);
  const search = { hist_access_type: 'search', pattern: '*searched + ?', n: 5 };
  expect((await kernel.request('history_request', search)).history).toEqual([
    [session, line + 1, 'searched + 1'],
  ]);
});

it('a comm opened by the front end carries data and buffers both ways and is closed', async () => {
  // The registry is the kernel's own; cells reach it through the hook that the live figure uses.
  const { reply } = await kernel.execute(`
    interface Message { data: { x: number }; buffers: Uint8Array[] }
    interface Comm { send(data: object, buffers?: Uint8Array[]): void; onMessage(hear: (m: Message) => void): void; onClose(hear: () => void): void }
    interface Comms { register(target: string, open: (comm: Comm, opened: { data: object }) => void): void }
    const comms = (globalThis as unknown as Record<symbol, Comms>)[Symbol.for('patchwise.comms')]!;
    comms.register('echo', (comm, opened) => {
      comm.send({ opened: opened.data });
      comm.onMessage((m) => comm.send({ twice: m.data.x * 2 }, m.buffers.map((b) => b.map((v) => v + 1))));
      comm.onClose(() => console.log('comm closed'));
    })`);
  expect(reply.status).toBe('ok');
  kernel.send('shell', 'comm_open', { comm_id: 'c1', target_name: 'echo', data: { hello: 1 } });
  kernel.send('shell', 'comm_msg', { comm_id: 'c1', data: { x: 21 } }, [Buffer.from([1, 2, 254])]);
  const answered = await until(() => kernel.heard.find(({ content }) => content.data?.twice));
  expect(answered).toMatchObject({ type: 'comm_msg', content: { comm_id: 'c1', data: { twice: 42 } } });
  expect([...answered.buffers[0]!]).toEqual([2, 3, 255]);
  expect(kernel.heard.some(({ content }) => content.data?.opened?.hello === 1)).toBe(true);
  const info = await kernel.request('comm_info_request', { target_name: 'echo' });
  expect(info).toEqual({ status: 'ok', comms: { c1: { target_name: 'echo' } } });
  kernel.send('shell', 'comm_close', { comm_id: 'c1', data: {} });
  await until(() => kernel.heard.find(({ content }) => content.text?.includes('comm closed')));
  expect((await kernel.request('comm_info_request', {})).comms).toEqual({});
});

it('a comm to a target nobody registered is closed at once', async () => {
  kernel.send('shell', 'comm_open', { comm_id: 'c2', target_name: 'nobody', data: {} });
  await until(() =>
    kernel.heard.find(({ type, content }) => type === 'comm_close' && content.comm_id === 'c2'),
  );
});

it('comms are answered while a cell waits', async () => {
  const waiting = await kernel.running('await new Promise((r) => setTimeout(r, 600))');
  kernel.send('shell', 'comm_open', { comm_id: 'c3', target_name: 'echo', data: { hello: 3 } });
  await until(() => kernel.heard.find(({ content }) => content.data?.opened?.hello === 3), 400);
  await kernel.finished(waiting);
});

it('a cell that waits is busy, whatever else is asked meanwhile', async () => {
  const cell = kernel.execute('await new Promise((resolve) => setTimeout(resolve, 1500))');
  const states = (): unknown[] =>
    kernel.heard.filter(({ type }) => type === 'status').map(({ content }) => content.execution_state);
  await until(() => states().at(-1) === 'busy');
  await kernel.request('kernel_info_request', {});
  await until(() => states().slice(-3).join() === 'busy,idle,busy');
  await cell;
  await until(() => states().at(-1) === 'idle');
});
