import { stripVTControlCharacters } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import type { RawKernel } from '../../raw-kernel';

/** What cells throw, and what that does to the others. */
export function errorsCases(kernelOf: () => RawKernel): void {
  let kernel: RawKernel;
  beforeAll(() => {
    kernel = kernelOf();
  });

  it('an uncaught background error is told in its own cell and the kernel goes on', async () => {
    const first = kernel.begin(`setTimeout(() => { throw new Error('late') }, 50);
Promise.reject(new Error('nobody caught'))
void 0`);
    await kernel.finished(first);
    await kernel.execute('await new Promise((r) => setTimeout(r, 150))');
    const text = stripVTControlCharacters(kernel.textOf(first));
    expect(text).toContain('Error: late');
    expect(text).toMatch(/Cell \[\d+\]:1:\d+/);
    expect(text).toContain('Unhandled rejection: Error: nobody caught');
  });

  it('an error is structured, with the positions of the cell as it was written', async () => {
    const code = `interface Scan { slices: number }

// Types and comments vanish when this is compiled; the line numbers below must not move.
function check(scan: Scan): void {
  if (scan.slices < 1) throw new RangeError('no slices');
}
check({ slices: 0 });`;
    const id = kernel.begin(code);
    const { reply, outputs } = await kernel.finished(id);
    expect(outputs.map(({ type }) => type)).toEqual(['error']);
    expect(reply).toMatchObject({ status: 'error', ename: 'RangeError', evalue: 'no slices' });
    expect(outputs[0]!.content).toMatchObject({ ename: 'RangeError', evalue: 'no slices' });
    const traceback = stripVTControlCharacters(reply.traceback.join('\n'));
    const cell = `Cell [${reply.execution_count}]`;
    expect(traceback).toContain(`at check (${cell}:5:`);
    expect(traceback).toContain(`at ${cell}:7:`);
    expect(traceback).toContain('---->   5   if (scan.slices < 1)');
    expect(traceback).not.toMatch(/tslab|node:vm|kernels/);
  });

  it('a frame in an earlier cell, after an await, names that cell', async () => {
    const defined = await kernel.execute(`
async function later(): Promise<never> {
  await new Promise((r) => setTimeout(r, 10));
  throw new Error('deep', { cause: new Error('deeper') });
}`);
    const { reply } = await kernel.execute('\n\nawait later()');
    const traceback = stripVTControlCharacters(reply.traceback.join('\n'));
    expect(traceback).toContain(`at later (Cell [${defined.reply.execution_count}]:4:`);
    expect(traceback).toContain('Caused by: Error: deeper');
  });

  it('TypeScript diagnostics and thrown values that are no errors are structured too', async () => {
    const typed = (await kernel.execute(`1;\nconst size: number = 'wide'`)).reply;
    expect(typed).toMatchObject({ status: 'error', ename: 'TypeScriptError' });
    expect(typed.evalue).toMatch(/Cell \[\d+\]:2:7 - Type 'string' is not assignable to type 'number'/);
    expect((await kernel.execute(`throw 'a string'`)).reply).toMatchObject({
      ename: 'Thrown',
      evalue: "'a string'",
    });
    expect((await kernel.execute('throw undefined')).reply).toMatchObject({
      ename: 'Thrown',
      evalue: 'undefined',
    });
  });

  it('a failed cell aborts what waits behind it, but not what is sent after its reply', async () => {
    for (const wait of ['await 0;', 'const end = Date.now() + 200; while (Date.now() < end);']) {
      const ids = [`${wait} throw new Error('stop')`, 'console.log("not me")', '2'].map((code) =>
        kernel.begin(code),
      );
      const replies = await Promise.all(ids.map((id) => kernel.reply(id)));
      expect(replies.map(({ content }) => content.status)).toEqual(['error', 'aborted', 'aborted']);
      expect(kernel.textOf(ids[1]!)).toBe('');
      expect((await kernel.execute('3')).reply.status).toBe('ok');
    }
  });

  it('with stop_on_error off the next cells run', async () => {
    const ids = [`throw new Error('go on')`, '4'].map((code) => kernel.begin(code, { stop_on_error: false }));
    const replies = await Promise.all(ids.map((id) => kernel.reply(id)));
    expect(replies.map(({ content }) => content.status)).toEqual(['error', 'ok']);
  });

  /** Values that throw, or never end, when somebody looks at them. */
  const ODD = [
    `{ message: 'from a server', stack: ['a', 'b'] }`,
    `{ message: 'a', stack: {} }`,
    `Object.assign(new Error('x'), { stack: ['a'] })`,
    `(() => { const a = new Error('a'), b = new Error('b'); a.cause = b; b.cause = a; return b })()`,
    `(() => { let e: unknown; for (let i = 0; i < 20000; i++) e = new Error(String(i), { cause: e }); return e })()`,
    `{ message: Object.create(null), stack: '' }`,
    `{ get message() { throw new Error('no') }, stack: 'x' }`,
    `Object.assign(new Error('x'), { name: Symbol('s') })`,
    `new Proxy({}, { has() { throw new Error('no') } })`,
    `new Proxy(new Error('x'), { get() { throw 1 }, getPrototypeOf() { throw 2 }, ownKeys() { throw 3 } })`,
    `{ [Symbol.for('nodejs.util.inspect.custom')]() { throw new Error('no') } }`,
    `Object.defineProperty(new Error('x'), 'errors', { get() { throw 1 } })`,
    `Object.assign(new Error('x'), { body: new Proxy({}, { get() { throw 4 } }), name: '' })`,
    `(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy })()`,
    `(() => { const e = new AggregateError([]); e.errors.push(e, e); return e })()`,
    `Object.assign(new Error('x'), { constructor: null, toString: null })`,
  ];

  it('any thrown value is reported, and the next cell runs', async () => {
    for (const odd of ODD) {
      const { reply } = await kernel.execute(`throw ${odd}`);
      expect(reply.status, odd).toBe('error');
      expect(reply.traceback.every((line: unknown) => typeof line === 'string')).toBe(true);
      expect((await kernel.execute('1 + 1')).outputs[0]?.content.data['text/plain'], odd).toBe('2');
    }
  }, 60_000);

  it('any value that a timer, a promise or a display method throws is reported, and the kernel lives', async () => {
    for (const odd of ODD) {
      const id = kernel.begin(
        `setTimeout(() => { throw ${odd} }, 1); Promise.reject(${odd}); await new Promise((r) => setTimeout(r, 30))`,
      );
      await kernel.finished(id);
      expect(kernel.textOf(id), odd).toContain('Uncaught');
      expect(kernel.textOf(id), odd).toContain('Unhandled rejection');
      const shown = await kernel.execute(`({ [Symbol.for('Jupyter.display')]() { throw ${odd} } })`);
      expect(shown.reply.status, odd).toBe('error');
    }
    expect((await kernel.execute('1 + 1')).reply.status).toBe('ok');
  }, 60_000);

  it('a malformed request, or one that cannot be answered, does not hold up the next', async () => {
    const asked = {
      code: '1',
      user_expressions: { big: '({ [Symbol.for("Jupyter.display")]: () => ({ a: 1n }) })' },
    };
    const { reply } = await kernel.execute('1', asked);
    expect(reply.user_expressions.big.status).toBe('error');
    for (const content of [
      { code: { toString: 1 } },
      { code: null },
      { user_expressions: { a: { toString: 1 } } },
    ])
      await kernel.finished(kernel.send('shell', 'execute_request', content));
    expect((await kernel.execute('1 + 1')).outputs[0]?.content.data['text/plain']).toBe('2');
  });

  it('an error tells its class, its own fields, its cause and its inner errors', async () => {
    const { reply } = await kernel.execute(
      `class HttpError extends Error { constructor(readonly status: number, readonly body: object) { super('refused') } }
throw new AggregateError([new HttpError(404, { path: 'x' }), new RangeError('second')], 'both')`,
    );
    const text = stripVTControlCharacters(reply.traceback.join('\n'));
    expect(reply).toMatchObject({ ename: 'AggregateError', evalue: 'both' });
    expect(text).toMatch(/Error 1 of 2: HttpError: refused[\s\S]*{ status: 404, body: { path: 'x' } }/);
    expect(text).toContain('Error 2 of 2: RangeError: second');
    expect((await kernel.execute('class Own extends TypeError {}; throw new Own()')).reply.ename).toBe('Own');
  });

  it('a last value whose proxy throws is shown, and the cell is no error', async () => {
    const code = `new Proxy({ a: 1 }, { get() { throw new Error('no') }, has() { throw new Error('no') }, getPrototypeOf() { throw 1 } })`;
    const { reply, outputs } = await kernel.execute(code);
    expect(reply.status).toBe('ok');
    expect(outputs[0]!.content.data['text/plain']).toContain('a: 1');
  });

  it('a silent cell, and one that is not stored, leave the cell before them as it is', async () => {
    const before = await kernel.execute(
      `const gamma: number = 1;\nfunction boom() {\n  throw new Error('here');\n}`,
    );
    const number = before.reply.execution_count;
    await kernel.execute('const beta = 2', { silent: true });
    await kernel.execute('const delta = 3\n\n\n\n', { store_history: false });
    const kept = await kernel.execute('[beta, delta]', { store_history: false });
    expect(kept.outputs[0]?.content.data['text/plain']).toBe('[ 2, 3 ]');
    expect(kept.reply.execution_count).toBe(number);
    expect((await kernel.execute('const s: string = gamma', { silent: true })).reply.ename).toBe(
      'TypeScriptError',
    );
    const { reply } = await kernel.execute('boom()');
    expect(reply.execution_count).toBe(number + 1);
    const text = stripVTControlCharacters(reply.traceback.join('\n'));
    expect(text).toContain(`at boom (Cell [${number}]:3:`);
    expect(text).toContain(`---->   3   throw new Error('here')`);
    const silent = await kernel.execute(`\n\nthrow new Error('silent')`, { silent: true });
    expect(stripVTControlCharacters(silent.reply.traceback.join('\n'))).toContain(
      `---->   3 throw new Error('silent')`,
    );
  });
}
