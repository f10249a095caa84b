import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { CellChecker } from '../../../kernels/checker/checker';
import { heapUsed } from '../engine/heap';

/* The checker makes a new program after 500 questions. It must not forget what was asked at that moment. */

const folder = mkdtempSync(join(tmpdir(), 'patchwise-checker-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const checkerOf = () => new CellChecker(folder);

it('answers every completion of a long session, and knows the names of its cells', () => {
  const checker = checkerOf();
  expect(checker.check('let kept = { inner: 1 };', '1')).toEqual([]);
  checker.given('1', ['kept']);
  for (let i = 0; i < 1100; i++)
    expect(checker.complete('kept.in', 7).matches, `question ${i}`).toEqual(['inner']);
  expect(checker.inspect('kept', 4)?.signature).toContain('inner: number');
}, 60_000);

it('checks every cell of a long session against those before it', () => {
  const checker = checkerOf();
  for (let cell = 1; cell <= 1100; cell++) {
    const code =
      cell === 1 ? 'let count = 1;' : `let count${cell % 7} = count + 1; count = count${cell % 7};`;
    expect(checker.check(code, String(cell)), `cell ${cell}`).toEqual([]);
    // Completions come while a cell runs, before its names are given.
    if (cell % 10 === 0) checker.complete('cou', 3);
    checker.given(String(cell), cell === 1 ? ['count'] : [`count${cell % 7}`]);
  }
  expect(checker.check('const wrong: string = count;', 'last')).toHaveLength(1);
}, 60_000);

it('forgets the cells that no later one can see', () => {
  const checker = checkerOf();
  let cell = 0;
  const cells = (until: number): void => {
    while (++cell <= until) {
      checker.check(`let value${cell % 10}: number = ${cell}; console.log(value${cell % 10})`, String(cell));
      checker.given(String(cell), [`value${cell % 10}`]);
    }
  };
  cells(510);
  const before = heapUsed();
  cells(1520); // two programs later
  expect(heapUsed() - before).toBeLessThan(3e6); // kept, they take 8e6
}, 60_000);

it('knows the first declaration of a cell, also if the cell mentions names of earlier ones', () => {
  const checker = checkerOf();
  const cell = (code: string, number: string, names: readonly string[]) => {
    expect(checker.check(code, number), code).toEqual([]);
    checker.given(number, names);
  };
  cell('let scale = 2', '1', ['scale']);
  cell('function area(x: number) { return x * scale }', '2', ['area']);
  cell('class Box { side = scale }', '3', ['Box']);
  cell('interface Sized { side: typeof scale }', '4', []);
  cell('const box: Sized = new Box(); area(box.side)', '5', ['box']);
});

it('knows the globals of the running Node, and none that it lacks', () => {
  const checker = checkerOf();
  let cell = 0;
  const errors = (code: string) => checker.check(code, `node-${++cell}`).map(({ text }) => text);
  expect(
    errors('const bytes = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]); WebAssembly.validate(bytes)'),
  ).toEqual([]);
  expect(errors('const wrong: string = WebAssembly.validate(new Uint8Array(8))')).toHaveLength(1);
  const uses = {
    isWellFormed: ['isWellFormed' in String.prototype, `'x'.isWellFormed()`],
    maxByteLength: ['transfer' in ArrayBuffer.prototype, 'new ArrayBuffer(8, { maxByteLength: 16 })'],
    waitAsync: ['waitAsync' in Atomics, 'Atomics.waitAsync(new Int32Array(new SharedArrayBuffer(4)), 0, 0)'],
    groupBy: ['groupBy' in Object, 'Object.groupBy([1], (n) => n)'],
    union: ['union' in Set.prototype, 'new Set([1]).union(new Set([2]))'],
    withResolvers: ['withResolvers' in Promise, 'Promise.withResolvers()'],
    fromAsync: ['fromAsync' in Array, 'Array.fromAsync([1])'],
    iterator: ['Iterator' in globalThis, '[1].values().map((n) => n + 1)'],
    navigator: ['navigator' in globalThis, 'navigator.hardwareConcurrency'],
    WebSocket: ['WebSocket' in globalThis, `new WebSocket('ws://x')`],
    DisposableStack: ['DisposableStack' in globalThis, 'new DisposableStack()'],
  } as const;
  for (const [name, [isThere, code]] of Object.entries(uses))
    expect(errors(code).length === 0, name).toBe(isThere);
  expect(errors(`const socket = typeof WebSocket === 'undefined' ? 0 : new WebSocket('ws://x')`)).toEqual([]);
  expect(errors('class WebSocket {}; new WebSocket()')).toEqual([]);
});
