import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RawKernel, until } from '../raw-kernel';

/* Cells that somebody writes sooner or later. */

let kernel: RawKernel;
beforeAll(async () => {
  kernel = await RawKernel.start();
});
afterAll(() => kernel.stop());

it('comments may be all of a cell, or its end', async () => {
  expect(await kernel.value('// nothing but a comment')).toBeUndefined();
  expect(await kernel.value('/* nor\n   here */')).toBeUndefined();
  expect(await kernel.value('const one = 1;\n// the end\n/* of it */')).toBeUndefined();
  expect(await kernel.value('one + 1 // two\n/* and\nmore */')).toBe('2');
  expect(await kernel.value('`a\nexport {};\nb`.length // text stays text')).toBe('14');
});

it('the default export of a cell may be an anonymous class or function', async () => {
  expect(await kernel.value('export default class { one() {} }')).toBeUndefined();
  expect(await kernel.value('export default function () {}')).toBeUndefined();
});

it('a cell may redeclare an enum, a class, an interface or a type as something else, and may hide `pw`', async () => {
  expect(
    await kernel.value(
      'enum Kind { A, B }\nclass Box<T> { constructor(readonly value: T) {} }\nnew Box(Kind.B).value',
    ),
  ).toBe('1');
  expect(await kernel.value(`enum Kind { A = 'a' }\nconst kind: Kind = Kind.A; kind`)).toBe(`'a'`);
  expect(
    await kernel.value(
      'class Box<A, B> { constructor(readonly a: A, readonly b: B) {} }\nnew Box(1, true).b',
    ),
  ).toBe('true');
  expect(
    await kernel.value('type Id = number; interface Point { x: Id }\nlet point: Point = { x: 1 }; point.x'),
  ).toBe('1');
  expect(
    await kernel.value(`type Id = string; interface Point { y: Id }\nlet point: Point = { y: 'y' }; point.y`),
  ).toBe(`'y'`);
  expect(await kernel.value('const pw = { mine: 1 }; pw.mine')).toBe('1');
  expect(await kernel.value('pw.mine + 1')).toBe('2');
  expect(await kernel.value(`const found = await import('patchwise'); typeof found.planGrid`)).toBe(
    `'function'`,
  );
});

it('a syntax error in the middle runs nothing of the cell, and says where', async () => {
  const { reply, outputs } = await kernel.execute(
    `console.log('before');\nlet = = 3;\nconsole.log('after');`,
  );
  expect(reply.ename).toBe('TypeScriptError');
  expect(reply.evalue).toMatch(/^Cell \[\d+\]:2:7 - /);
  expect(outputs.map(({ type }) => type)).toEqual(['error']);
});

it('lines that end as Windows has them, a byte order mark, letters of any script', async () => {
  expect((await kernel.failure(`const a = 1;\r\nconst b = 2;\r\nthrow new Error('here')\r\n`)).text).toMatch(
    /Cell \[\d+\]:3:7/,
  );
  expect(await kernel.value('\ufeffconst größe = 3; größe')).toBe('3');
  expect(await kernel.value(`const 変数 = '👍🏽'; 変数`)).toBe(`'👍🏽'`);
  writeFileSync(
    join(kernel.folder, 'marked.ts'),
    '\ufeffexport const marked = 1;\r\nexport const twice = 2;\r\n',
  );
  expect(await kernel.value(`import { marked, twice } from './marked'; marked + twice`)).toBe('3');
});

it('microtasks that go on for ever are stopped', async () => {
  const forms = [
    'let turns = 0; (function loop() { Promise.resolve().then(() => { turns++; loop(); }); })(); await new Promise(() => {})',
    'const again = () => queueMicrotask(again); again(); await new Promise(() => {})',
    'async function on(): Promise<void> { await null; return on(); } await on()',
    'const round = (): Promise<void> => Promise.resolve().then(round); await round()',
  ];
  for (const form of forms) {
    expect(await kernel.interrupted(form), form).toBe('Interrupted');
    expect(await kernel.value('1 + 1'), form).toBe('2');
  }
  expect(await kernel.value('turns > 0')).toBe('true');
}, 30_000);

it('an endless loop in a timer, an event handler or a function called after an await is stopped', async () => {
  const forms = [
    'setTimeout(() => { spins(); while (true); }, 10)',
    'setImmediate(() => { spins(); for (;;) { try { JSON.stringify([1]) } catch {} } })',
    'setTimeout(() => { spins(); do { Math.random() } while (Date.now() > 0) }, 10)',
    `import { EventEmitter } from 'node:events'; const events = new EventEmitter(); events.on('x', () => { spins(); while (true) {} }); setTimeout(() => events.emit('x'), 10)`,
    '(async () => { await new Promise((r) => setTimeout(r, 20)); spins(); while (true); })()',
  ];
  await kernel.execute(`const spins = () => console.log('it spins')`);
  for (const form of forms) {
    const spinning = kernel.begin(`${form}; void 0`);
    const waiting = kernel.begin('await new Promise((r) => setTimeout(r, 200))');
    await until(() => kernel.textOf(spinning) === 'it spins\n');
    kernel.send('control', 'interrupt_request', {});
    await kernel.finished(waiting);
    expect(await kernel.value('1 + 1'), form).toBe('2');
  }
  expect(await kernel.interrupted('function spin() { while (true) {} }\nawait 0; spin()')).toBe(
    'Interrupted',
  );
  // Later loops are not taken for those that were stopped.
  expect(await kernel.value('let round = 0; while (true) if (++round > 1e5) break; round')).toBe('100001');
}, 30_000);

it('declarations before an interrupted await stay', async () => {
  expect(
    await kernel.interrupted(
      'const kept = 5; let also = { a: 1 }; await new Promise(() => {}); const unreached = 1;',
    ),
  ).toBe('Interrupted');
  expect(await kernel.value('kept + also.a')).toBe('6');
  expect((await kernel.failure('unreached')).text).toContain("Cannot find name 'unreached'");
});

it('a cell that continues after its await was interrupted does not overwrite names of running cells', async () => {
  expect(
    await kernel.interrupted(
      'const slow = 1; await new Promise((r) => setTimeout(r, 1200)); const late = 2;',
    ),
  ).toBe('Interrupted');
  expect(
    await kernel.value('const mine = await new Promise<number>((r) => setTimeout(r, 1500, 3)); mine'),
  ).toBe('3');
  expect(await kernel.value('[slow, mine]')).toBe('[ 1, 3 ]');
});

it('a traceback shows a % line as it was written', async () => {
  const { text } = await kernel.failure('const before = 1;\n%attach no-such-run');
  expect(text).toContain('---->   2 %attach no-such-run');
  expect(text).not.toContain('globalThis');
  expect((await kernel.failure('%nothing')).text).toBe(
    'UnknownMagic: there is no %nothing; %help lists what there is',
  );
});

it('an error that is printed, or is the value of a cell, has the lines of the cells', async () => {
  await kernel.execute(`function fails(): never {\n  throw new RangeError('here');\n}`);
  const code = `let caught: unknown;\ntry {\n  fails();\n} catch (error) {\n  caught = error;\n  console.error(error);\n}\ncaught`;
  const { outputs } = await kernel.execute(code);
  const texts = outputs.map(({ content }) => content.text ?? content.data?.['text/plain']);
  expect(texts).toHaveLength(2);
  for (const text of texts)
    expect(text.trimEnd()).toMatch(
      /^RangeError: here\n {4}at fails \(Cell \[\d+\]:2:9\)\n {4}at Cell \[\d+\]:3:\d+$/,
    );
  expect((await kernel.failure('throw caught')).text).toMatch(/at fails \(Cell \[\d+\]:2:9\)/);
});

it('a promise or a timer prints without what Node notes on it', async () => {
  expect(await kernel.value('Promise.resolve(4)')).toBe('Promise { 4 }');
  expect(await kernel.value('[Promise.resolve({ a: 1 })]')).toBe('[ Promise { { a: 1 } } ]');
  expect(await kernel.value('const timer = setTimeout(() => {}, 1); timer')).not.toMatch(
    /kResourceStore|asyncId/,
  );
});

it('names that begin with two underscores are names like all others, also those the kernel uses itself', async () => {
  expect(await kernel.value('const __DEV__ = true; __DEV__')).toBe('true');
  expect(await kernel.value('[__DEV__, typeof __DEV__, { __DEV__ }.__DEV__]')).toBe(
    `[ true, 'boolean', true ]`,
  );
  const own = 'let __v = 1, __value = 2, __cells = 3, __stop = 4, __slot = 5, __m0 = 6, ___x = 7;';
  expect(
    await kernel.value(
      `${own} __v = 8; for (const __own of [1]) await __own; [__v, __cells, __stop, __DEV__]`,
    ),
  ).toBe('[ 8, 3, 4, true ]');
  expect(
    await kernel.value(
      '__v = 9; __cells++; ___x += 1; [__v, __value, __cells, __stop, __slot, __m0, ___x].join()',
    ),
  ).toBe("'9,2,4,4,5,6,8'");
  expect(
    await kernel.value(
      `enum __E { __A = 1, B = __A + 1 }\nnamespace __N { export const __q = 4; export const r = __q + 1 }\nclass __C { static __s = 3 }\ntype __T = number; const __t: __T = 4;\n[__E.B, __N.r, ((__z: number) => __z + __v)(1)]`,
    ),
  ).toBe('[ 2, 5, 10 ]');
  expect(await kernel.value('const again: __T = __t; [__E.__A, __N.__q, __C.__s, again]')).toBe(
    '[ 1, 4, 3, 4 ]',
  );
  writeFileSync(
    join(kernel.folder, 'under.ts'),
    'export const __V = 5; export function __f() { return __V }',
  );
  writeFileSync(
    join(kernel.folder, 'user.ts'),
    `import { __V } from './under'; import * as __all from './under'; export { __f as __g } from './under'; export const got = () => [typeof __V, __all.__V];`,
  );
  expect(await kernel.value(`import { got, __g } from './user';\n[...got(), __g()]`)).toBe(
    `[ 'number', 5, 5 ]`,
  );
  await kernel.execute('%types off');
  await kernel.execute('const __X = 5');
  expect(await kernel.value('[__X, __g()]')).toBe('[ 5, 5 ]');
  await kernel.execute('%types strict');
});

it('% lines: a backtick, a comment or a blank before them, and what %time takes', async () => {
  const printed = async (code: string): Promise<string> => {
    const id = kernel.begin(code);
    await kernel.finished(id);
    return kernel.textOf(id);
  };
  for (const before of ["const tick = '`';", '// say ` now', '/* ` */', 'const r = /`/;', '/*\n%foo\n*/'])
    expect(await printed(`${before}\n%help`), before).toContain('%attach [id]');
  expect(await printed('  %env PATCHWISE_Y=1\n  %env PATCHWISE_Y')).toBe('1\n');
  expect(await kernel.value(`['\`', 7\n  %4].length`)).toBe('2');
  expect(await kernel.value(['`$', '{`\n%help`}`'].join(''))).toBe(`'\\n%help'`);
  for (const timed of ['1 + 1 // comment', 'const x = 1; // c', 'interface Timed { x: 1 }', `'//'.length`])
    expect(await printed(`%time ${timed}`), timed).toMatch(/^wall/);
});

it('code that ends with a dot, `function` or another open word is incomplete', async () => {
  const open = [
    'x.',
    'x. // c',
    'function',
    'class',
    'f(',
    'const',
    'import',
    'a +',
    'type X =',
    '`a',
    '/* a',
    'let {',
    'x => ',
  ];
  for (const code of open)
    expect((await kernel.request('is_complete_request', { code })).status, code).toBe('incomplete');
  for (const code of ['a b', ') (', 'x..', 'let = =', 'foo(]', '[1,}', `'a`, 'f(a,, b', 'x..\n'])
    expect((await kernel.request('is_complete_request', { code })).status, code).toBe('invalid');
});

it('functions of earlier cells see what a later cell declares by one of their names', async () => {
  await kernel.execute(`let cnt = 1; const step = 10, { deep: [inner] } = { deep: [5] };
    function readCnt() { return cnt } function add() { cnt += step; return cnt }
    const bump = () => cnt++, less = () => --cnt, both = () => ({ cnt, inner }), set = (n: number) => { cnt = n };
    const spread = (pair: [number, number]) => { [cnt] = pair; ({ cnt } = { cnt: cnt + pair[1] }); for (cnt of [cnt + 1]); return cnt };
    const shadowed = (cnt: number) => cnt, late = () => { try { return cnt } finally { (cnt as number) = cnt + 1 } };
    function named() { return 'old' } function call() { return named() } class Kept { static again() { return Kept } step = step }
    enum Kind { A = 1 } const kind = () => Kind.A; const make = () => new Kept();`);
  expect(await kernel.value('[readCnt(), add(), bump(), cnt, less(), both(), call(), kind()].join()')).toBe(
    `'1,11,11,12,11,[object Object],old,1'`,
  );
  expect(await kernel.value('[spread([4, 2]), late(), readCnt(), shadowed(3)]')).toBe('[ 7, 7, 8, 3 ]');
  expect(await kernel.value('const before = readCnt(); let cnt = 2; [before, readCnt(), add(), cnt]')).toBe(
    '[ 8, 2, 12, 12 ]',
  );
  expect(await kernel.value('cnt = 3; [readCnt(), add(), bump(), cnt, less(), cnt, both().cnt].join()')).toBe(
    `'3,13,13,14,13,13,13'`,
  );
  expect(await kernel.value('set(20); [cnt, spread([4, 2]), cnt, late(), cnt, shadowed(3)]')).toBe(
    '[ 20, 7, 7, 7, 8, 3 ]',
  );
  expect(await kernel.value('const step = 100; let inner = 6; [add(), both().inner, make().step]')).toBe(
    '[ 108, 6, 100 ]',
  );
  await kernel.execute(`function named() { return 'new' }`);
  expect(await kernel.value('enum Kind { A = 2 }\nclass Kept { other = 1 }\n[call(), kind(), make()]')).toBe(
    `[ 'new', 2, Kept { other: 1 } ]`,
  );
  // A third declaration, and one that is not reached.
  expect(await kernel.value('let cnt = 50; [readCnt(), add()]')).toBe('[ 50, 150 ]');
  expect((await kernel.failure(`if (add() > 0) throw new Error('early'); let cnt = 9;`)).ename).toBe('Error');
  expect(await kernel.value('[cnt, readCnt(), bump(), cnt]')).toBe('[ 250, 250, 250, 251 ]');
  expect(await kernel.value('import { sep as cnt } from "node:path"; readCnt()')).toBe(`'/'`);
});

it('constants stay constant, and messages name what was written', async () => {
  await kernel.execute('%types off');
  const text = async (code: string): Promise<string> => (await kernel.failure(code)).text.split('\n')[0]!;
  const constant = 'TypeError: Assignment to constant variable.';
  expect(
    await text('const fixed = 1; const use = () => fixed; const change = () => { fixed = 2 }; change()'),
  ).toBe(constant);
  expect(await text('const firm = 1; const useFirm = () => firm; firm = 2')).toBe(constant);
  expect(await text('firm = 2')).toBe(constant);
  expect(await text('[firm] = [2]')).toBe(constant);
  expect(await kernel.value('[fixed, firm, useFirm()]')).toBe('[ 1, 1, 1 ]');
  expect(await text('const none = undefined; const tryIt = () => none(); tryIt()')).toBe(
    'TypeError: none is not a function',
  );
  expect(await text('none()')).toBe('TypeError: none is not a function');
  expect(await text('const some = {}; const tryMethod = () => some.run(); tryMethod()')).toBe(
    'TypeError: some.run is not a function',
  );
  expect(await text('some.run()')).toBe('TypeError: some.run is not a function');
  expect(await text('(() => early)(); let early = 1')).toBe(
    `ReferenceError: Cannot access 'early' before initialization`,
  );
  await kernel.execute('%types strict');
});

it('a cell of many thousand statements runs, and later ones are checked as before', async () => {
  const lines = Array.from({ length: 5000 }, (_, n) => `if (flat > ${n}) flat -= 1;`);
  expect(await kernel.value(`let flat: number = 5; ${lines.join('\n')}\nflat`)).toMatch(/^\d$/);
  const { ename, text } = await kernel.failure(
    'const wrong: string | number = flat; const text: string = wrong;',
  );
  expect([ename, text]).toEqual([
    'TypeScriptError',
    expect.stringContaining("not assignable to type 'string'"),
  ]);
}, 60_000);

it('code that is nested too deeply for the compiler gets a clear error', async () => {
  const sum = Array.from({ length: 20_000 }, (_, n) => n).join(' + ');
  const { ename, text } = await kernel.failure(sum);
  expect([ename, text]).toEqual(['TypeScriptError', expect.stringContaining('nested too deeply')]);
  expect(text).not.toMatch(/kernels|typescript\.js/);
  expect((await kernel.request('is_complete_request', { code: sum })).status).toBe('complete');
  expect(await kernel.value('1 + 1')).toBe('2');
}, 60_000);

it('interrupts and stray errors survive process.removeAllListeners()', async () => {
  await kernel.execute(
    'process.removeAllListeners(); process.removeAllListeners("uncaughtException"); void 0',
  );
  expect(await kernel.interrupted('while (true) {}')).toBe('Interrupted');
  expect(await kernel.interrupted('await new Promise(() => {})')).toBe('Interrupted');
  await kernel.execute(
    'setTimeout(() => { throw new Error("stray") }, 10); process.on("SIGINT", () => {}); void 0',
  );
  await kernel.execute('await new Promise((r) => setTimeout(r, 100))');
  process.kill(Number(await kernel.value('process.pid')), 'SIGINT');
  // The signal is for the idle kernel: it must have come before the next cell begins.
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await kernel.value('await new Promise((r) => setTimeout(r, 50)); 1 + 1')).toBe('2');
}, 30_000);

it('interrupts at any moment, also just when a cell begins or ends, leave the kernel alive', async () => {
  for (let turn = 0; turn < 60; turn++) {
    const id = kernel.begin(turn % 3 ? '1 + 1' : 'await 0; for (let i = 0; i < 1e5; i++); 2');
    for (let sent = 0; sent < 3; sent++) {
      await new Promise((resolve) => setTimeout(resolve, (turn * 7 + sent * 5) % 12));
      kernel.send('control', 'interrupt_request', {});
    }
    await kernel.finished(id);
  }
  expect(kernel.child.signalCode).toBeNull();
}, 60_000);
