import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { KernelClient } from '../../../kernels/headless/client';
import { hook, RawKernel, until, untyped } from '../raw-kernel';

/** The kernel of all tests that leave it as it was: a start takes seconds. */
let shared: RawKernel;
beforeAll(async () => {
  shared = await RawKernel.start(untyped);
});
afterAll(() => shared.stop());

/** Kernels of one test alone. */
const own: RawKernel[] = [];
afterEach(() => {
  for (const kernel of own.splice(0)) kernel.stop();
});
async function startOwn(environment?: NodeJS.ProcessEnv): Promise<RawKernel> {
  const kernel = await RawKernel.start({ ...untyped, ...environment });
  own.push(kernel);
  return kernel;
}

/** Keeps the thread of a cell busy. */
const BLOCK = 'const block = (ms: number) => { const end = Date.now() + ms; while (Date.now() < end); };';

it('output and updates of a cell that never yields appear at once', async () => {
  await shared.execute(`${BLOCK}
const show = ${hook('display')};
show('step 0', { id: 'd' });`);
  const id =
    shared.begin(`console.log('one'); console.error('two'); console.log('three'); console.log('four');
block(50); // updates are gathered for 30 ms after any message, and this cell never gives them a chance to leave later
show('step 1', { id: 'd', update: true });
while (true);`);
  await until(() => shared.textOf(id) === 'one\ntwo\nthree\nfour\n');
  await until(() => shared.outputsOf(id).some(({ type }) => type === 'update_display_data'));
  await shared.request('interrupt_request', {}, 'control');
  expect((await shared.finished(id)).reply.status).toBe('error');
});

it.each([
  ['process.kill(process.pid, "SIGKILL")', 'SIGKILL', 'block(500);'],
  ['process.abort()', 'SIGABRT', ''],
])('what was printed before %s arrives', async (end, signal, before) => {
  const kernel = await startOwn();
  await kernel.execute(BLOCK);
  const lines = Array.from({ length: 500 }, (_, n) => `line ${n}\n`).join('');
  const id = kernel.begin(`for (let n = 0; n < 500; n++) console.log('line', n); ${before} ${end};`);
  expect(await kernel.exit).toEqual([null, signal]);
  await until(() => kernel.textOf(id) === lines);
});

it('100,000 lines come in few messages, whole and in order', async () => {
  const { outputs } = await shared.execute(
    `for (let n = 0; n < 100_000; n++) (n % 1000 ? console.log : console.error)('é', n)`,
  );
  expect(outputs.map(({ content }) => content.text).join('')).toBe(
    Array.from({ length: 100_000 }, (_, n) => `é ${n}\n`).join(''),
  );
  expect(outputs.length).toBeLessThan(500);
  const long = await shared.execute(`console.log('a'.repeat(300_000)); console.log('b')`);
  expect(long.outputs.map(({ content }) => content.text).join('')).toBe(`${'a'.repeat(300_000)}\nb\n`);
});

it('no half of a surrogate pair reaches a front end, and backslashes stay', async () => {
  const half = `'👍'.slice(0, 1)`;
  const { outputs } = await shared.execute(`console.log(${half}, '👍', '\\\\ud83d');
const show = ${hook('display')};
show({ [Symbol.for('Jupyter.display')]: () => ({ 'text/plain': ${half}, 'application/json': { [${half}]: [${half} + '\\\\ud800'] } }) });
throw new Error('broken ' + ${half} + 'x')`);
  const [printed, shown, error] = outputs;
  expect(printed!.content.text).toBe('\ufffd 👍 \\ud83d\n');
  expect(shown!.content.data).toEqual({
    'text/plain': '\ufffd',
    'application/json': { '\ufffd': ['\ufffd\\ud800'] },
  });
  expect(error!.content.evalue).toBe('broken \ufffdx');
  expect(() => encodeURIComponent(error!.content.traceback.join(''))).not.toThrow();
});

it('a display that is not JSON does not hold back others', async () => {
  const { reply, outputs } = await shared.execute(`
const show = ${hook('display')};
const bundle = (data: object) => ({ [Symbol.for('Jupyter.display')]: () => data });
const circular: { self?: object } = {};
circular.self = circular;
for (const id of ['a', 'b', 'c', 'd']) show('first', { id });
show(bundle({ 'application/json': { n: 1n } }), { id: 'a' });
show('last', { id: 'b' });
show(bundle({ 'application/json': circular }), { id: 'c' });
console.log('printed');
show('last', { id: 'd' });`);
  expect(reply.status).toBe('ok');
  const updates = outputs.filter(({ type }) => type === 'update_display_data');
  expect(updates.map(({ content }) => [content.transient.display_id, content.data['text/plain']])).toEqual([
    ['b', "'last'"],
    ['d', "'last'"],
  ]);
  const errors = outputs
    .filter(({ content }) => content.name === 'stderr')
    .map(({ content }) => content.text);
  expect(errors.join('')).toMatch(
    /A display was not updated:.*BigInt.*A display was not updated:.*circular/s,
  );
  expect((await shared.execute('1')).reply.status).toBe('ok');
});

it('a client with the identity of another is answered on every socket', async () => {
  const kernel = await startOwn();
  for (const name of ['shell', 'control'] as const) {
    const old = kernel.sockets[name];
    // The old connection stays open, as that of a laptop that sleeps does.
    kernel.sockets[name] = kernel.again(name);
    expect(await kernel.request('kernel_info_request', {}, name)).toMatchObject({ status: 'ok' });
    old.close();
  }
  const old = kernel.sockets.stdin;
  kernel.sockets.stdin = kernel.again('stdin');
  await sleep(200);
  const id = kernel.begin(`await ${hook('input')}('name?')`, {
    allow_stdin: true,
  });
  await until(() => kernel.replies.find(({ type, parent }) => type === 'input_request' && parent === id));
  kernel.send('stdin', 'input_reply', { value: 'Ada' });
  const { outputs } = await kernel.finished(id);
  expect(outputs.at(-1)!.content.data['text/plain']).toBe("'Ada'");
  old.close();
});

it('an interrupt reaches the child that a cell waits for, and no detached one', async () => {
  const { outputs } = await shared.execute(`
import { execFileSync, execSync, spawn } from 'node:child_process';
spawn('sleep', ['600'], { detached: true, stdio: 'ignore' }).pid`);
  const detached = Number(outputs.at(-1)!.content.data['text/plain']);
  try {
    for (const waits of [`execSync('sleep 60; echo')`, `execFileSync('sleep', ['60'])`]) {
      const id = shared.begin(`console.log('begun'); ${waits}`);
      await until(() => shared.textOf(id) === 'begun\n');
      await sleep(300);
      await shared.request('interrupt_request', {}, 'control');
      expect((await shared.finished(id)).reply.status).toBe('error');
    }
    expect(process.kill(detached, 0)).toBe(true);
    expect((await shared.execute('1')).reply.status).toBe('ok');
  } finally {
    process.kill(detached, 'SIGKILL');
  }
});

it('what children and fs.writeSync put on file descriptor 1 belongs to the cell', async () => {
  const { reply, outputs } = await shared.execute(`
import { execSync, spawnSync } from 'node:child_process';
import { writeSync } from 'node:fs';
console.log('before');
execSync('echo é from a shell', { stdio: 'inherit' });
console.log('between');
writeSync(1, 'by number\\n');
spawnSync('sh', ['-c', 'head -c 300000 /dev/zero | tr "\\\\0" x; echo'], { stdio: ['ignore', 'inherit', 'ignore'] });`);
  expect(reply.status).toBe('ok');
  const lines = outputs
    .map(({ content }) => content.text)
    .join('')
    .split('\n');
  expect(lines.sort()).toEqual(['', 'before', 'between', 'by number', 'x'.repeat(300_000), 'é from a shell']);
  const later = await shared.execute(`import { spawn } from 'node:child_process';
await new Promise((done) => spawn('sh', ['-c', 'sleep 0.3; echo later'], { stdio: 'inherit' }).on('exit', done));`);
  expect(later.outputs[0]).toMatchObject({ type: 'stream', content: { name: 'stdout', text: 'later\n' } });
});

it('a client does not wait for ever for a kernel that stopped answering', async () => {
  const client = await KernelClient.start({ cwd: tmpdir(), heartTimeoutMs: 1000 });
  const busy = client.execute('const end = Date.now() + 4000; while (Date.now() < end);');
  expect((await busy).content.status).toBe('ok'); // it was busy, and its heart went on beating
  const waiting = client.execute('await new Promise(() => {})');
  process.kill(client.process.pid!, 'SIGSTOP');
  await expect(waiting).rejects.toThrow('stopped answering');
  await client.close();
});

it('a kernel without a place for its pipe starts nevertheless', async () => {
  const kernel = await startOwn({ TMPDIR: '/nonexistent' });
  const { outputs } = await kernel.execute(`console.log('here')`);
  expect(outputs.map(({ content }) => content.text)).toEqual(['here\n']);
});
