import { expect, it } from 'vitest';
import type { CompiledCell } from '../../../kernels/cells/compile';
import { factoryOf } from '../../../kernels/engine/factory';
import { heapUsed } from './heap';

const given = { declare: () => {}, modules: [], meta: {}, require, filename: '', dirname: '' };
const compiled = (n: number): CompiledCell => ({
  code: `(function ({ modules: __modules }) { return function () { let value = ${n}; return [value + ${n}]; }; })`,
  map: '',
  insertions: [],
  imports: [],
  syntaxErrors: [],
});
const run = (n: number): unknown =>
  factoryOf(compiled(n), `cell-${n}.ts`)({ ...given, dynamicImport: () => Promise.resolve() })();

it('makes the function of a cell, with the positions of its own text', () => {
  expect(run(4)).toEqual([8]);
  const code = '(function () { return function () { throw new Error("here"); }; })';
  const broken = factoryOf(
    { ...compiled(0), code },
    'cell-7.ts',
  )({
    ...given,
    dynamicImport: () => Promise.resolve(),
  });
  const column = code.indexOf('new Error') + 1;
  expect(broken).toThrow(
    expect.objectContaining({ stack: expect.stringContaining(`cell-7.ts:1:${column}`) }),
  );
});

it('leaves nothing of a cell behind', () => {
  const thousand = (from: number): void => {
    for (let n = from; n < from + 1000; n++) run(n);
  };
  thousand(0);
  const before = heapUsed();
  thousand(1000);
  thousand(2000);
  expect(heapUsed() - before).toBeLessThan(1e6); // as scripts they took 3.2e6
});
