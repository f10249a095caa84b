import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RawKernel, until } from '../raw-kernel';

/** What every engine has to do with cells, over the wire. */
export function executionCases(engine: 'typescript' | 'tslab'): void {
  let kernel: RawKernel;
  beforeAll(async () => {
    kernel = await RawKernel.start({ PATCHWISE_ENGINE: engine });
    // Cells reach the kernel through registered symbols, as src/plot/display.ts does.
    await kernel.execute(`
    const hook = (name: string) => (globalThis as any)[Symbol.for('patchwise.' + name)];
    const display = hook('display'), clearOutput = hook('clearOutput'), input = hook('input');`);
  });
  afterAll(() => kernel.stop());

  const LINES = 2000;

  test('2,000 lines of one cell all arrive, in order, before idle', async () => {
    const id = kernel.begin(`for (let i = 0; i < ${LINES}; i++) console.log('line', i)`);
    const { outputs } = await kernel.finished(id);
    const expected = Array.from({ length: LINES }, (_, i) => `line ${i}\n`).join('');
    expect(kernel.textOf(id)).toBe(expected);
    expect(outputs.length).toBeLessThan(20); // gathered, not a message a line
  });

  test('100,000 lines arrive in order', async () => {
    const id = kernel.begin(`for (let i = 0; i < 100000; i++) console.log(i)`);
    await kernel.finished(id);
    const lines = kernel.textOf(id).split('\n');
    expect(lines.length).toBe(100_001);
    expect(lines.every((line, at) => at === 100_000 || line === String(at))).toBe(true);
  });

  test('stdout, stderr, displays and the result keep their order', async () => {
    const { outputs } = await kernel.execute(`
    console.log('a'); console.error('b'); console.log('c');
    display({ [Symbol.for('Jupyter.display')]: () => ({ 'text/html': '<b>d</b>' }) });
    console.log('e');
    ['f']`);
    expect(outputs.map(({ type, content }) => content.text ?? content.data?.['text/html'] ?? type)).toEqual([
      'a\n',
      'b\n',
      'c\n',
      '<b>d</b>',
      'e\n',
      'execute_result',
    ]);
    expect(outputs.at(-1)!.content.data).toEqual({ 'text/plain': "[ 'f' ]" });
  });

  test('the last value is an execute_result; undefined, statements and silent cells show none', async () => {
    expect((await kernel.execute('6 * 7')).outputs).toMatchObject([
      { type: 'execute_result', content: { data: { 'text/plain': '42' } } },
    ]);
    expect((await kernel.execute('const quiet = 1')).outputs).toEqual([]);
    expect((await kernel.execute('undefined')).outputs).toEqual([]);
    const counted = (await kernel.execute('1')).reply.execution_count;
    expect((await kernel.execute('6 * 7', { silent: true })).outputs).toEqual([]);
    expect((await kernel.execute('1')).reply.execution_count).toBe(counted + 1);
  });

  test('functions see a name that is declared again; in tslab those of later cells only', async () => {
    await kernel.execute('let again = 1; function readAgain() { return again }');
    const { outputs } = await kernel.execute('let again = 2; [readAgain(), (() => again)()]');
    const expected = engine === 'typescript' ? '[ 2, 2 ]' : '[ 1, 2 ]';
    expect(outputs.at(-1)!.content.data).toEqual({ 'text/plain': expected });
  });

  test('execute_input repeats the code with its number', async () => {
    const id = kernel.begin('/* seen */ 1');
    const { reply } = await kernel.finished(id);
    const input = kernel.heard.find(({ type, parent }) => type === 'execute_input' && parent === id);
    expect(input!.content).toEqual({ code: '/* seen */ 1', execution_count: reply.execution_count });
  });

  test('output of background work lands in the cell that started it', async () => {
    const first = kernel.begin(`setTimeout(() => console.log('from the first'), 150)`);
    await kernel.finished(first);
    const second = kernel.begin(
      `await new Promise((r) => setTimeout(r, 300)); console.log('from the second')`,
    );
    await kernel.finished(second);
    expect(kernel.textOf(first)).toBe('from the first\n');
    expect(kernel.textOf(second)).toBe('from the second\n');
  });

  test('an uncaught background error is told in its own cell and the kernel goes on', async () => {
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

  test('an error is structured, with the positions of the cell as it was written', async () => {
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

  test('a frame in an earlier cell, after an await, names that cell', async () => {
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

  test('TypeScript diagnostics and thrown values that are no errors are structured too', async () => {
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

  test('a failed cell aborts what waits behind it, but not what is sent after its reply', async () => {
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

  test('with stop_on_error off the next cells run', async () => {
    const ids = [`throw new Error('go on')`, '4'].map((code) => kernel.begin(code, { stop_on_error: false }));
    const replies = await Promise.all(ids.map((id) => kernel.reply(id)));
    expect(replies.map(({ content }) => content.status)).toEqual(['error', 'ok']);
  });

  test('a display shown again under its id is updated in place; of many updates the last arrives', async () => {
    const { outputs } = await kernel.execute(`for (let i = 0; i <= 1000; i++) display(i, { id: 'counter' })`);
    const texts = outputs.map(({ type, content }) => [
      type,
      content.data['text/plain'],
      content.transient.display_id,
    ]);
    expect(texts[0]).toEqual(['display_data', '0', 'counter']);
    expect(texts.at(-1)).toEqual(['update_display_data', '1000', 'counter']);
    expect(texts.length).toBeLessThan(20);
  });

  test('an update from another cell reaches the display; the id shown in a new cell is a new display', async () => {
    const elsewhere = await kernel.execute(`display('moved on', { id: 'counter', update: true })`);
    expect(elsewhere.outputs.map(({ type }) => type)).toEqual(['update_display_data']);
    const again = await kernel.execute(`display('anew', { id: 'counter' })`);
    expect(again.outputs.map(({ type }) => type)).toEqual(['display_data']);
  });

  test('clear_output comes after what was printed before it', async () => {
    const { outputs } = await kernel.execute(
      `console.log('old'); clearOutput({ wait: true }); console.log('new')`,
    );
    expect(outputs.map(({ type, content }) => content.text ?? [type, content.wait])).toEqual([
      'old\n',
      ['clear_output', true],
      'new\n',
    ]);
  });

  test('user_expressions are evaluated, failures included', async () => {
    const user_expressions = { sum: '1 + 2', bad: 'missing' };
    const { reply } = await kernel.execute('1', { user_expressions });
    expect(reply.user_expressions.sum).toMatchObject({ status: 'ok', data: { 'text/plain': '3' } });
    expect(reply.user_expressions.bad).toMatchObject({ status: 'error' });
  });

  test('input asks the front end over stdin', async () => {
    const id = kernel.begin(`await input('name? ')`, { allow_stdin: true });
    const question = await until(() => kernel.replies.find(({ type }) => type === 'input_request'));
    expect(question).toMatchObject({ parent: id, content: { prompt: 'name? ', password: false } });
    kernel.send('stdin', 'input_reply', { value: 'Ada' });
    const { outputs } = await kernel.finished(id);
    expect(outputs.at(-1)!.content.data['text/plain']).toBe("'Ada'");
    const refused = await kernel.execute(`await input('name? ')`, { allow_stdin: false });
    expect(refused.reply.evalue).toContain('does not take input');
  });

  test('interrupt_request stops a loop that never yields, and the kernel goes on', async () => {
    const id = kernel.begin('console.log("in"); while (true);');
    await sleep(600);
    await kernel.request('interrupt_request', {}, 'control');
    const { reply } = await kernel.finished(id);
    expect(reply).toMatchObject({ status: 'error', ename: 'Interrupted' });
    expect((await kernel.execute('5')).reply.status).toBe('ok');
  });

  test('interrupt_request and SIGINT stop a top-level await', async () => {
    for (const stop of [
      () => kernel.send('control', 'interrupt_request', {}),
      () => process.kill(kernel.child.pid!, 'SIGINT'),
    ]) {
      const id = kernel.begin('await new Promise(() => {})');
      await sleep(400);
      stop();
      const { reply } = await kernel.finished(id);
      expect(reply).toMatchObject({ status: 'error', ename: 'Interrupted' });
    }
  });

  test('interrupt_request stops a loop after an await, in the cell or in an async function of an earlier one', async () => {
    await kernel.execute('async function spins() { await 0; for (let i = 0; ; i++) if (i < 0) break; }');
    for (const code of [
      'await 0; while (true);',
      'await spins()',
      'await 0; do { await null } while (true)',
    ]) {
      const id = kernel.begin(code);
      await sleep(500);
      kernel.send('control', 'interrupt_request', {});
      const { reply } = await kernel.finished(id);
      expect(reply).toMatchObject({ status: 'error', ename: 'Interrupted' });
    }
  });

  test('an interrupted loop does not go on in the background, and the work of other cells does', async () => {
    await kernel.execute(
      'let mine = 0, others = 0; const pause = (ms: number) => new Promise((r) => setTimeout(r, ms));',
    );
    await kernel.execute('(async () => { for (;;) { others++; await pause(20); } })(); void 0');
    const id = kernel.begin('for (;;) { mine++; await pause(20); }');
    await sleep(400);
    kernel.send('control', 'interrupt_request', {});
    await kernel.finished(id);
    await kernel.execute('await pause(50)');
    const { outputs } = await kernel.execute(
      'const before = [mine, others]; await pause(200); [mine - before[0], others > before[1]]',
    );
    expect(outputs[0]?.content.data['text/plain']).toBe('[ 0, true ]');
    expect(kernel.textOf(id)).toBe('');
  });

  test('the checks in loops leave the positions of errors alone', async () => {
    const { reply } = await kernel.execute(
      `await 0; for (const x of [1]) { if (x) throw new Error('here') }`,
    );
    const traceback = stripVTControlCharacters(reply.traceback.join('\n'));
    expect(traceback).toMatch(/at (async )?Cell \[\d+\]:1:46/);
  });

  test('top-level await, redeclaration and imports of Node modules', async () => {
    await kernel.execute(`import { join } from 'node:path';\nlet again = 1;`);
    const { outputs } = await kernel.execute(`let again = await Promise.resolve('two');\njoin('a', again)`);
    expect(outputs[0]!.content.data['text/plain']).toBe("'a/two'");
  });

  test('the library is there as `pw` without an import', async () => {
    const { outputs } = await kernel.execute(`new pw.InvalidArgument('patch', 'three sizes', 1).argument`);
    expect(outputs.at(-1)!.content.data['text/plain']).toBe("'patch'");
  });

  test('names of earlier cells work as shorthand properties, and for await at the top of a cell', async () => {
    await kernel.execute('let linear = 1;\nasync function* records() { yield 1; yield 2; }');
    const { outputs } = await kernel.execute(
      'let seen = 0;\nfor await (const m of records()) seen += m;\n({ linear, seen })',
    );
    expect(outputs[0]?.content.data['text/plain']).toBe('{ linear: 1, seen: 3 }');
    await kernel.execute('({ linear, seen = 4 } = { linear: 5 })');
    expect((await kernel.execute('[linear, seen]')).outputs[0]?.content.data['text/plain']).toBe('[ 5, 4 ]');
  });

  /** Values that throw, or never end, when somebody looks at them. */
  const ODD = [
    `{ message: 'from a server', stack: ['a', 'b'] }`,
    `{ message: 'a', stack: {} }`,
    `Object.assign(new Error('x'), { stack: ['a'] })`,
    `(() => { const a: any = new Error('a'), b: any = new Error('b'); a.cause = b; b.cause = a; return b })()`,
    `(() => { let e: any; for (let i = 0; i < 20000; i++) e = new Error(String(i), { cause: e }); return e })()`,
    `{ message: Object.create(null), stack: '' }`,
    `{ get message() { throw new Error('no') }, stack: 'x' }`,
    `Object.assign(new Error('x'), { name: Symbol('s') })`,
    `new Proxy({}, { has() { throw new Error('no') } })`,
    `new Proxy(new Error('x'), { get() { throw 1 }, getPrototypeOf() { throw 2 }, ownKeys() { throw 3 } })`,
    `{ [Symbol.for('nodejs.util.inspect.custom')]() { throw new Error('no') } }`,
    `Object.defineProperty(new Error('x'), 'errors', { get() { throw 1 } })`,
    `Object.assign(new Error('x'), { body: new Proxy({}, { get() { throw 4 } }), name: '' })`,
    `(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy })()`,
    `(() => { const e: any = new AggregateError([]); e.errors.push(e, e); return e })()`,
    `Object.assign(new Error('x'), { constructor: null, toString: null })`,
  ];

  test('whatever a cell throws is told, and the next cell runs', async () => {
    for (const odd of ODD) {
      const { reply } = await kernel.execute(`throw ${odd}`);
      expect(reply.status, odd).toBe('error');
      expect(reply.traceback.every((line: unknown) => typeof line === 'string')).toBe(true);
      expect((await kernel.execute('1 + 1')).outputs[0]?.content.data['text/plain'], odd).toBe('2');
    }
  }, 60_000);

  test('whatever a timer, a promise or a display method throws is told, and the kernel lives', async () => {
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

  test('an interrupt ends what is looked at for ever: errors, display methods, last values', async () => {
    const endless = [
      `throw { get message() { for (;;); }, stack: '' }`,
      `({ [Symbol.for('Jupyter.display')]() { for (;;); } })`,
      `({ [Symbol.for('Jupyter.display')]: () => new Promise(() => {}) })`,
      `display({ [Symbol.for('Jupyter.display')]: () => new Promise(() => {}) })`,
      `({ [Symbol.for('nodejs.util.inspect.custom')]() { for (;;); } })`,
    ];
    for (const code of endless) {
      const id = kernel.begin(code);
      await sleep(500);
      kernel.send('control', 'interrupt_request', {});
      expect((await kernel.finished(id)).reply.ename, code).toBe('Interrupted');
      expect((await kernel.execute('1 + 1')).reply.status, code).toBe('ok');
    }
  }, 60_000);

  test('a request that is not as it should be, or cannot be answered, holds up none behind it', async () => {
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

  test('an error tells its class, its own fields, its cause and its inner errors', async () => {
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

  test('a last value whose proxy throws is shown, and the cell is no error', async () => {
    const code = `new Proxy({ a: 1 }, { get() { throw new Error('no') }, has() { throw new Error('no') }, getPrototypeOf() { throw 1 } })`;
    const { reply, outputs } = await kernel.execute(code);
    expect(reply.status).toBe('ok');
    expect(outputs[0]!.content.data['text/plain']).toContain('a: 1');
  });

  test('listeners that a cell adds to SIGINT, or takes from it, leave the kernel its interrupts', async () => {
    const cells = [
      `process.on('SIGINT', () => process.exit(1));`,
      `process.once('SIGINT', () => process.exit(1)); await 0;`,
      `process.prependListener('SIGINT', () => process.exit(1)); await pause(10); process.once('SIGINT', () => process.exit(1));`,
      `await 0; process.removeAllListeners('SIGINT');`,
    ];
    await kernel.execute('const pause = (ms: number) => new Promise((r) => setTimeout(r, ms))');
    for (const code of cells) {
      await kernel.execute(code);
      kernel.send('control', 'interrupt_request', {}); // while nothing runs
      process.kill(kernel.child.pid!, 'SIGINT');
      for (const endless of [
        'await new Promise(() => {})',
        'while (true);',
        `${code} await new Promise(() => {})`,
      ]) {
        const id = kernel.begin(endless);
        await sleep(400);
        kernel.send('control', 'interrupt_request', {});
        expect((await kernel.finished(id)).reply.ename, code + endless).toBe('Interrupted');
      }
    }
  }, 60_000);

  test('loops are not slower after an interrupt', async () => {
    const looked = `(globalThis as any).looked`;
    await kernel.execute(`const stop = (globalThis as any)[Symbol.for('patchwise.interrupts')];
${looked} = 0; const check = stop.check; stop.check = () => { ${looked}++; check(); };`);
    const id = kernel.begin('await new Promise(() => {})');
    await sleep(300);
    kernel.send('control', 'interrupt_request', {});
    await kernel.finished(id);
    // A check that is called at every turn is what is slow.
    await kernel.execute('await 0; let turns = 0; for (let i = 0; i < 1000; i++) turns++;');
    await kernel.execute('async function turn() { for (let i = 0; i < 1000; i++) turns++; } await turn();');
    const { outputs } = await kernel.execute(`[turns, ${looked} < 10]`);
    expect(outputs[0]?.content.data['text/plain']).toBe('[ 2000, true ]');
  });

  test('a silent cell, and one that is not stored, leave the cell before them as it is', async () => {
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
