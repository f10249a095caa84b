import { beforeAll, expect, it } from 'vitest';
import type { RawKernel } from '../../raw-kernel';

/** What cells declare, import and give back. */
export function cellsCases(kernelOf: () => RawKernel, engine: 'typescript' | 'tslab'): void {
  let kernel: RawKernel;
  beforeAll(() => {
    kernel = kernelOf();
  });

  it('the last value is an execute_result; undefined, statements and silent cells show none', async () => {
    expect((await kernel.execute('6 * 7')).outputs).toMatchObject([
      { type: 'execute_result', content: { data: { 'text/plain': '42' } } },
    ]);
    expect((await kernel.execute('const quiet = 1')).outputs).toEqual([]);
    expect((await kernel.execute('undefined')).outputs).toEqual([]);
    const counted = (await kernel.execute('1')).reply.execution_count;
    expect((await kernel.execute('6 * 7', { silent: true })).outputs).toEqual([]);
    expect((await kernel.execute('1')).reply.execution_count).toBe(counted + 1);
  });

  it('functions see a name that is declared again; in tslab those of later cells only', async () => {
    await kernel.execute('let again = 1; function readAgain() { return again }');
    const { outputs } = await kernel.execute('let again = 2; [readAgain(), (() => again)()]');
    const expected = engine === 'typescript' ? '[ 2, 2 ]' : '[ 1, 2 ]';
    expect(outputs.at(-1)!.content.data).toEqual({ 'text/plain': expected });
  });

  it('execute_input repeats the code with its number', async () => {
    const id = kernel.begin('/* seen */ 1');
    const { reply } = await kernel.finished(id);
    const input = kernel.heard.find(({ type, parent }) => type === 'execute_input' && parent === id);
    expect(input!.content).toEqual({ code: '/* seen */ 1', execution_count: reply.execution_count });
  });

  it('user_expressions are evaluated, failures included', async () => {
    const user_expressions = { sum: '1 + 2', bad: 'missing' };
    const { reply } = await kernel.execute('1', { user_expressions });
    expect(reply.user_expressions.sum).toMatchObject({ status: 'ok', data: { 'text/plain': '3' } });
    expect(reply.user_expressions.bad).toMatchObject({ status: 'error' });
  });

  it('top-level await, redeclaration and imports of Node modules', async () => {
    await kernel.execute(`import { join } from 'node:path';\nlet again = 1;`);
    const { outputs } = await kernel.execute(`let again = await Promise.resolve('two');\njoin('a', again)`);
    expect(outputs[0]!.content.data['text/plain']).toBe("'a/two'");
  });

  it('the library is there as `pw` without an import', async () => {
    const { outputs } = await kernel.execute(`new pw.InvalidArgument('patch', 'three sizes', 1).argument`);
    expect(outputs.at(-1)!.content.data['text/plain']).toBe("'patch'");
  });

  it('names of earlier cells work as shorthand properties, and for await at the top of a cell', async () => {
    await kernel.execute('let linear = 1;\nasync function* records() { yield 1; yield 2; }');
    const { outputs } = await kernel.execute(
      'let seen = 0;\nfor await (const m of records()) seen += m;\n({ linear, seen })',
    );
    expect(outputs[0]?.content.data['text/plain']).toBe('{ linear: 1, seen: 3 }');
    await kernel.execute('({ linear, seen = 4 } = { linear: 5 })');
    expect((await kernel.execute('[linear, seen]')).outputs[0]?.content.data['text/plain']).toBe('[ 5, 4 ]');
  });
}
