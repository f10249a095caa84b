import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RawKernel, until } from '../raw-kernel';

/* Cells of the default engine: what they import, what they may show, and their % lines. */

let kernel: RawKernel;
beforeAll(async () => {
  kernel = await RawKernel.start();
});
afterAll(() => kernel.stop());

function write(path: string, text: string | object): void {
  const full = join(kernel.folder, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, typeof text === 'string' ? text : JSON.stringify(text));
}

it('imports: CommonJS, ES modules, packages with nothing but an "import" condition, JSON, dynamic', async () => {
  write('node_modules/common/package.json', { name: 'common', main: 'main.js' });
  write(
    'node_modules/common/main.js',
    'module.exports = function twice(x) { return 2 * x }; module.exports.half = (x) => x / 2;',
  );
  write('node_modules/esm/package.json', { name: 'esm', type: 'module', exports: './main.js' });
  write('node_modules/esm/main.js', 'export const one = 1; export default () => one + 1;');
  write('node_modules/only/package.json', { name: 'only', exports: { '.': { import: './main.mjs' } } });
  write('node_modules/only/main.mjs', 'await null; export const name = import.meta.url.split("/").at(-1);');
  write('data.json', { patches: 54 });
  expect(
    await kernel.value(
      `import twice, { half } from 'common';\nimport * as all from 'common';\n[twice(4), half(4), all.half(2)]`,
    ),
  ).toBe('[ 8, 2, 1 ]');
  expect(await kernel.value(`import two, { one } from 'esm';\n[two(), one]`)).toBe('[ 2, 1 ]');
  expect(await kernel.value(`import { name } from 'only';\nname`)).toBe("'main.mjs'");
  expect(await kernel.value(`import data from './data.json';\ndata.patches + 1`)).toBe('55');
  expect(await kernel.value(`const m = await import('esm');\n[m.one, m.default()]`)).toBe('[ 1, 2 ]');
  expect(await kernel.value(`(await import('common')).half(8)`)).toBe('4');
  expect(
    await kernel.value(
      'class target { constructor() { new.target } }\n[half(2), twice(2), one, { half }.half(6)]',
    ),
  ).toBe('[ 1, 4, 1, 3 ]'); // in later cells too
  const { reply } = await kernel.execute(`import { x } from 'not-there'`);
  expect(reply.evalue).toContain("Cannot find module 'not-there'");
});

it('local TypeScript beside the notebook is loaded again when it or an import of it changes', async () => {
  write(
    'shapes.ts',
    `export { area } from './area';\nimport { area } from './area.js';\nexport enum Kind { Ring = 'ring' }\nexport default class Shape { constructor(readonly size: number) {} area(): number { return area(this.size) } }`,
  );
  write(
    'area.ts',
    `import { name } from 'only';\nawait null;\nexport const area = (x: number): number => x * x + (name === 'main.mjs' ? 0 : 1000);`,
  );
  const code = `import Shape, { area, Kind } from './shapes';\n[new Shape(3).area(), area(2), Kind.Ring]`;
  expect(await kernel.value(code)).toBe("[ 9, 4, 'ring' ]");
  write('area.ts', `export const area = (x: number): number => x * 10;`);
  utimesSync(join(kernel.folder, 'area.ts'), new Date(), new Date(Date.now() + 5000));
  expect(await kernel.value(code)).toBe("[ 30, 20, 'ring' ]");
  write(
    'shapes.ts',
    `export const area = (text: string): string => text;\nexport default class Shape {}\nexport enum Kind { Ring }`,
  );
  const { reply } = await kernel.execute(code);
  expect(reply.evalue).toMatch(/Expected 0 arguments, but got 1/); // the types are loaded again too
});

it('JSON and JavaScript are loaded again once they have changed, also below other local files', async () => {
  let times = 0;
  const edit = (path: string, text: string): void => {
    write(path, text);
    times += 5;
    utimesSync(join(kernel.folder, path), new Date(), new Date(Date.now() + times * 1000));
  };
  const both = (n: number): void => {
    edit('config.json', JSON.stringify({ x: n }));
    edit('below.js', `exports.y = ${n};`);
  };
  both(1);
  write('tool.js', `exports.y = require('./below.js').y;`);
  write(
    'reads.ts',
    `import config from './config.json'; import { y } from './tool.js'; export const read = [config.x, y];`,
  );
  const code = `import { read } from './reads';\nimport { y } from './tool.js';\n[...read, y]`;
  expect(await kernel.value(code)).toBe('[ 1, 1, 1 ]');
  both(2);
  expect(await kernel.value(code)).toBe('[ 2, 2, 2 ]');
  both(3);
  expect(await kernel.value(`import { y } from './tool.js';\ny`)).toBe('3');
  expect(await kernel.value(code)).toBe('[ 3, 3, 3 ]');
});

it('missing files, JSON and packages are found once they exist, also below a local module', async () => {
  const fails = async (code: string): Promise<void> => {
    expect((await kernel.execute(code)).reply.status, code).toBe('error');
  };
  const cases = [
    { code: `import { x } from './newfile';\nx`, path: 'newfile.ts', text: 'export const x: number = 7' },
    { code: `import given from './given.json';\ngiven.x`, path: 'given.json', text: '{ "x": 7 }' },
    { code: `import { x } from './below';\nx`, path: 'deeper.ts', text: 'export const x: number = 7' },
    { code: `import { x } from 'later';\nx`, path: 'node_modules/later/main.js', text: 'exports.x = 7' },
    { code: `require('required').x`, path: 'node_modules/required/main.js', text: 'exports.x = 7' },
    { code: `(await import('dyn' + 'amic')).x`, path: 'node_modules/dynamic/main.js', text: 'exports.x = 7' },
  ];
  write('below.ts', `export { x } from './deeper';`);
  for (const { code, path, text } of cases) {
    await fails(code);
    const name = /^node_modules\/(\w+)/.exec(path)?.[1];
    if (name) write(`node_modules/${name}/package.json`, { name, main: 'main.js' });
    write(path, text);
    expect(await kernel.value(code), code).toBe('7');
  }
  rmSync(join(kernel.folder, 'newfile.ts'));
  await fails(cases[0]!.code);
  write('newfile.ts', `export const x = 'again';`);
  expect(await kernel.value(cases[0]!.code)).toBe("'again'");
  // Without types the loader alone decides.
  await kernel.execute('%types off');
  await fails(`import { x } from 'untyped';\nx`);
  write('node_modules/untyped/package.json', { name: 'untyped', exports: { import: './main.mjs' } });
  write('node_modules/untyped/main.mjs', 'export const x = 8');
  expect(await kernel.value(`import { x } from 'untyped';\nx`)).toBe('8');
  await kernel.execute('%types strict');
});

it('local modules that import each other in a circle, and errors in them at their own lines', async () => {
  write(
    'even.ts',
    `import { odd } from './odd';\nexport const even = (n: number): boolean => (n === 0 ? true : odd(n - 1));`,
  );
  write(
    'odd.ts',
    `import { even } from './even';\nexport function odd(n: number): boolean {\n  if (n < 0) {\n    throw new RangeError('below zero');\n  }\n  return n === 0 ? false : even(n - 1);\n}`,
  );
  expect(await kernel.value(`import { even } from './even';\n[even(10), even(7)]`)).toBe('[ true, false ]');
  const { reply } = await kernel.execute('even(-1)');
  expect(reply.ename).toBe('RangeError');
  expect(stripVTControlCharacters(reply.traceback.join('\n'))).toMatch(/odd \(.*odd\.ts:4:11\)/);
});

it('`pw` is there in every notebook, with completion and docs', async () => {
  expect(await kernel.value('typeof pw.readVolume')).toBe("'function'");
  // While the types load too: JupyterLab waits a second.
  const complete = { code: 'pw.planG', cursor_pos: 8 };
  expect((await kernel.request('complete_request', complete)).matches).toEqual(['planGrid']);
  const options = { code: "pw.train({ preset: '", cursor_pos: 20 };
  expect((await kernel.request('complete_request', options)).matches).toContain('toy');
  const inspected = await kernel.request('inspect_request', {
    code: 'pw.planGrid(',
    cursor_pos: 12,
    detail_level: 0,
  });
  expect(inspected.data['text/markdown']).toMatch(/planGrid\(volume: .*GridOptions/s);
});

it('a cell may import patchwise/internal, whose names are not among those of `pw`', async () => {
  expect(await kernel.value("import { duration } from 'patchwise/internal';\nduration(90)")).toBe(
    "'1 min 30 s'",
  );
  expect(await kernel.value("'duration' in pw")).toBe('false');
  const { reply } = await kernel.execute("import { nosuch } from 'patchwise/internal';");
  expect(reply.evalue).toContain('nosuch');
});

it('a failed cell keeps its declarations up to the error; later redeclarations do not happen', async () => {
  await kernel.execute('let kept = 1, later = 1;');
  const { reply } = await kernel.execute(`let kept = 2;\nthrow new Error('here');\nlet later = 2;`);
  expect(reply.evalue).toBe('here');
  expect(await kernel.value('[kept, later]')).toBe('[ 2, 1 ]');
  expect(await kernel.value('kept += 5; later = kept; [kept, later]')).toBe('[ 7, 7 ]');
});

it('functions see what later cells assign, and a cell run again replaces what others call', async () => {
  await kernel.execute('let scale = 2;\nconst scaled = (x: number) => x * scale;');
  await kernel.execute('const outer = (x: number) => scaled(x) + 1;');
  await kernel.execute('scale = 10');
  expect(await kernel.value('outer(1)')).toBe('11');
  await kernel.execute('const scaled = (x: number) => -x;');
  expect(await kernel.value('outer(1)')).toBe('0');
});

it('constants of other cells cannot be assigned; types, classes, enums and generics carry over', async () => {
  await kernel.execute(`const fixed = 1;
interface Box<T> { readonly value: T }
class Holder<T> implements Box<T> { constructor(readonly value: T) {} }
enum Axis { X, Y, Z }
namespace Names { export const of = (axis: Axis): string => Axis[axis]; }`);
  expect((await kernel.execute('fixed = 2')).reply.evalue).toContain(
    "Cannot assign to 'fixed' because it is a constant",
  );
  expect(await kernel.value('const box: Box<Axis> = new Holder(Axis.Z);\nNames.of(box.value)')).toBe("'Z'");
  expect((await kernel.execute('const wrong: Box<string> = new Holder(Axis.X)')).reply.ename).toBe(
    'TypeScriptError',
  );
});

it('decorators, using, private fields, generators, tagged templates and JSX-free generics run', async () => {
  expect(
    await kernel.value(`function logged(_: unknown, context: ClassMethodDecoratorContext) { seen.push(String(context.name)); }
const seen: string[] = [];
class Counter { #n = 0; @logged up(): number { return ++this.#n; } }
const counter = new Counter();
function* numbers<T>(...all: T[]): Generator<T> { yield* all; }
[counter.up(), [...numbers(1, 2)], String.raw\`a\\n\`, seen]`),
  ).toBe("[ 1, [ 1, 2 ], 'a\\\\n', [ 'up' ] ]");
  const { reply } = await kernel.execute(
    `using file = { [Symbol.dispose]() { console.log('closed') } };\nconsole.log('open');`,
  );
  expect(reply.status).toBe('ok');
});

it('%types: a type error is an error, a warning, or nothing', async () => {
  const wrong = 'const wide: number = "wide" as unknown as string; typeof wide';
  await kernel.execute('%types warn');
  const warned = await kernel.execute(wrong);
  expect(warned.reply.status).toBe('ok');
  expect(warned.outputs.map(({ content }) => content.text ?? content.data['text/plain']).join()).toMatch(
    /not assignable to type 'number'[\s\S]*'string'/,
  );
  await kernel.execute('%types off');
  expect((await kernel.execute(wrong)).outputs).toHaveLength(1);
  await kernel.execute('%types strict');
  expect((await kernel.execute(wrong)).reply.ename).toBe('TypeScriptError');
});

it('data frames and ndarrays are shown as tables, cut in the middle', async () => {
  const { outputs } = await kernel.execute(
    `({ columns: ['name', 'psnr'], index: ['a', 'b'], values: [['<x>', 31.25], ['y', 24]], shape: [2, 2] })`,
  );
  const { data } = outputs.at(-1)!.content;
  expect(data['text/html']).toContain('<td>&#60;x&#62;</td><td>31.25</td>');
  expect(data['text/plain']).toContain('2 rows × 2 columns');
  const array = await kernel.value(
    `import ndarray from 'ndarray';\nndarray(Float32Array.from({ length: 4000 }, (_, i) => i), [1000, 4])`,
  );
  expect(array).toContain('ndarray float32 1000 × 4');
  expect(array).toMatch(/^ *999 +3996 +3997 +3998 +3999$/m);
  expect(array!.split('\n').length).toBeLessThan(30);
});

it('HTML, Markdown, LaTeX, SVG, PNG and JSON', async () => {
  const { outputs } = await kernel.execute(
    `for (const shown of [pw.html('<b>b</b>'), pw.markdown('*m*'), pw.latex('x^2'), pw.svg('<svg/>'), pw.png(new Uint8Array([137, 80])), pw.json({ a: 1 })]) pw.display(shown)`,
  );
  expect(outputs.map(({ content }) => Object.keys(content.data)[0])).toEqual([
    'text/html',
    'text/markdown',
    'text/latex',
    'image/svg+xml',
    'image/png',
    'application/json',
  ]);
  expect(outputs[4]!.content.data['image/png']).toBe('iVA=');
});

it('a progress bar is one display that moves in place and ends full', async () => {
  const { outputs } = await kernel.execute(
    `for (const i of pw.progress([...Array(500).keys()], 'patches')) if (i % 50 === 0) await new Promise((r) => setTimeout(r, 20))`,
  );
  expect(outputs.map(({ type }) => type).filter((type) => type === 'display_data')).toHaveLength(1);
  expect(new Set(outputs.map(({ content }) => content.transient.display_id)).size).toBe(1);
  expect(outputs.length).toBeGreaterThan(2);
  expect(outputs.at(-1)!.content.data['text/plain']).toContain('500/500');
});

it('% lines: help, time, env; in a template literal they are text; unknown ones are told', async () => {
  const text = async (code: string): Promise<string> =>
    kernel.textOf(kernel.begin(code)) || (await said(code));
  expect(await text('%help')).toContain('%attach [id]');
  expect(await text('%help')).toMatch(/declared again[\s\S]*loaded once[\s\S]*An interrupt does not end/);
  expect(await text('%env PATCHWISE_X=1 2')).toBe('');
  expect(await kernel.value('process.env.PATCHWISE_X')).toBe("'1 2'");
  expect(await text('%env PATCHWISE_X')).toBe('1 2\n');
  expect(await text('%time await new Promise((r) => setTimeout(r, 120))')).toMatch(
    /^wall 1\d\d ms, processor/,
  );
  expect(await text('%time\nconst waited = await Promise.resolve(7);\nvoid 0')).toMatch(/^wall .*ms/);
  expect(await kernel.value('waited')).toBe('7');
  expect(await text('%time const timed = 3')).toMatch(/^wall/);
  expect(await kernel.value(['`', '%help', '$' + '{timed}`'].join('\n'))).toBe("'\\n%help\\n3'");
  const { reply } = await kernel.execute('%matplotlib inline');
  expect(reply).toMatchObject({ status: 'error', ename: 'UnknownMagic' });
  expect((await kernel.request('complete_request', { code: '%ru', cursor_pos: 3 })).matches).toEqual([
    '%run',
    '%runs',
  ]);
});

async function said(code: string): Promise<string> {
  const id = kernel.begin(code);
  await kernel.finished(id);
  return kernel.textOf(id);
}

it('%run starts a run and shows it live, %runs lists it, %attach finds it again, %stop ends it', async () => {
  await kernel.execute(`process.env.PATCHWISE_RUNS = ${JSON.stringify(join(kernel.folder, 'runs'))}`);
  const { reply, outputs } = await kernel.execute(
    '%run toy data=phantom:32x32x32 ranks=1 steps=100000 seed=3',
  );
  expect(reply.status).toBe('ok');
  expect(outputs.find(({ type }) => type === 'display_data')!.content.data).toHaveProperty([
    'application/vnd.patchwise.figure+json',
  ]);
  try {
    const id = (await kernel.value('run.id'))!.replaceAll("'", '');
    await until(
      async () => ((await kernel.value('(await run.status()).state')) === "'running'" ? true : undefined),
      60_000,
    );
    const table = await kernel.execute('%runs');
    expect(table.outputs.at(-1)!.content.data['text/plain']).toContain(id);
    await kernel.execute('run = undefined as never');
    const attached = await kernel.execute(`%attach ${id}\nrun.id`);
    expect(attached.outputs.at(-1)!.content.data['text/plain']).toContain(id);
  } finally {
    expect(await said('%stop')).toMatch(/ stopped at step \d+/);
  }
});
