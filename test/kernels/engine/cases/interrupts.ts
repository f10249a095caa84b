import { stripVTControlCharacters } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import type { RawKernel } from '../../raw-kernel';

/** Cells that do not end. */
export function interruptsCases(kernelOf: () => RawKernel): void {
  let kernel: RawKernel;
  beforeAll(() => {
    kernel = kernelOf();
  });

  it('interrupt_request stops a loop that never yields, and the kernel goes on', async () => {
    expect(await kernel.interrupted('while (true);')).toBe('Interrupted');
    expect((await kernel.execute('5')).reply.status).toBe('ok');
  });

  it('SIGINT stops a top-level await', async () => {
    // Within 100 ms after an interrupt_request the kernel takes a signal for the one that belongs to it.
    await kernel.execute('await new Promise((r) => setTimeout(r, 150))');
    const id = await kernel.running('await new Promise(() => {})');
    process.kill(kernel.child.pid!, 'SIGINT');
    expect((await kernel.finished(id)).reply).toMatchObject({ status: 'error', ename: 'Interrupted' });
  });

  it.each([
    'await new Promise(() => {})',
    'await 0; while (true);',
    'await spins()',
    'await 0; do { await null } while (true)',
  ])('interrupt_request stops an await, and a loop after one: %s', async (code) => {
    await kernel.execute('async function spins() { await 0; for (let i = 0; ; i++) if (i < 0) break; }');
    expect(await kernel.interrupted(code)).toBe('Interrupted');
  });

  it('an interrupted loop does not go on in the background, and the work of other cells does', async () => {
    await kernel.execute(
      'let mine = 0, others = 0; const pause = (ms: number) => new Promise((r) => setTimeout(r, ms));',
    );
    await kernel.execute('(async () => { for (;;) { others++; await pause(20); } })(); void 0');
    const id = await kernel.running('for (;;) { mine++; await pause(20); }');
    kernel.send('control', 'interrupt_request', {});
    await kernel.finished(id);
    await kernel.execute('await pause(50)');
    const { outputs } = await kernel.execute(
      'const before = [mine, others]; await pause(200); [mine - before[0], others > before[1]]',
    );
    expect(outputs[0]?.content.data['text/plain']).toBe('[ 0, true ]');
    expect(kernel.textOf(id)).toBe('it runs\n');
  });

  it('the checks in loops leave the positions of errors alone', async () => {
    const { reply } = await kernel.execute(
      `await 0; for (const x of [1]) { if (x) throw new Error('here') }`,
    );
    const traceback = stripVTControlCharacters(reply.traceback.join('\n'));
    expect(traceback).toMatch(/at (async )?Cell \[\d+\]:1:46/);
  });

  it('an interrupt ends endless getters and display methods of errors and last values', async () => {
    const endless = [
      `throw { get message() { for (;;); }, stack: '' }`,
      `({ [Symbol.for('Jupyter.display')]() { for (;;); } })`,
      `({ [Symbol.for('Jupyter.display')]: () => new Promise(() => {}) })`,
      `display({ [Symbol.for('Jupyter.display')]: () => new Promise(() => {}) })`,
      `({ [Symbol.for('nodejs.util.inspect.custom')]() { for (;;); } })`,
    ];
    for (const code of endless) {
      expect(await kernel.interrupted(code), code).toBe('Interrupted');
      expect((await kernel.execute('1 + 1')).reply.status, code).toBe('ok');
    }
  }, 60_000);

  it('listeners that a cell adds to SIGINT, or takes from it, leave the kernel its interrupts', async () => {
    const cells = [
      `process.on('SIGINT', () => process.exit(1));`,
      `process.once('SIGINT', () => process.exit(1)); await 0;`,
      `process.prependListener('SIGINT', () => process.exit(1)); await pause(10); process.once('SIGINT', () => process.exit(1));`,
      `await 0; process.removeAllListeners('SIGINT');`,
    ];
    await kernel.execute('const pause = (ms: number) => new Promise((r) => setTimeout(r, ms))');
    for (const code of cells) {
      await kernel.execute(code);
      await kernel.request('interrupt_request', {}, 'control'); // while nothing runs
      process.kill(kernel.child.pid!, 'SIGINT');
      await kernel.execute('await pause(150)'); // the signal may still be on its way
      for (const endless of [
        'await new Promise(() => {})',
        'while (true);',
        `${code} await new Promise(() => {})`,
      ]) {
        expect(await kernel.interrupted(endless), code + endless).toBe('Interrupted');
      }
    }
  }, 60_000);

  it('loops are not slower after an interrupt', async () => {
    const looked = `(globalThis as unknown as { looked: number }).looked`;
    await kernel.execute(`const stop = (globalThis as unknown as Record<symbol, { check: () => void }>)[Symbol.for('patchwise.interrupts')]!;
${looked} = 0; const check = stop.check; stop.check = () => { ${looked}++; check(); };`);
    await kernel.interrupted('await new Promise(() => {})');
    // A check that is called at every turn is what is slow.
    await kernel.execute('await 0; let turns = 0; for (let i = 0; i < 1000; i++) turns++;');
    await kernel.execute('async function turn() { for (let i = 0; i < 1000; i++) turns++; } await turn();');
    const { outputs } = await kernel.execute(`[turns, ${looked} < 10]`);
    expect(outputs[0]?.content.data['text/plain']).toBe('[ 2000, true ]');
  });
}
