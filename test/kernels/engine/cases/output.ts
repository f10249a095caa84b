import { beforeAll, expect, it } from 'vitest';
import { type RawKernel, until } from '../../raw-kernel';

/** What cells print and show. */
export function outputCases(kernelOf: () => RawKernel): void {
  let kernel: RawKernel;
  beforeAll(() => {
    kernel = kernelOf();
  });

  const LINES = 2000;

  it('2,000 lines of one cell all arrive, in order, before idle', async () => {
    const id = kernel.begin(`for (let i = 0; i < ${LINES}; i++) console.log('line', i)`);
    const { outputs } = await kernel.finished(id);
    const expected = Array.from({ length: LINES }, (_, i) => `line ${i}\n`).join('');
    expect(kernel.textOf(id)).toBe(expected);
    expect(outputs.length).toBeLessThan(20); // gathered, not a message a line
  });

  it('100,000 lines arrive in order', async () => {
    const id = kernel.begin(`for (let i = 0; i < 100000; i++) console.log(i)`);
    await kernel.finished(id);
    const lines = kernel.textOf(id).split('\n');
    expect(lines.length).toBe(100_001);
    expect(lines.every((line, at) => at === 100_000 || line === String(at))).toBe(true);
  });

  it('stdout, stderr, displays and the result keep their order', async () => {
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

  it('output of background work lands in the cell that started it', async () => {
    const first = kernel.begin(`setTimeout(() => console.log('from the first'), 150)`);
    await kernel.finished(first);
    const second = kernel.begin(
      `await new Promise((r) => setTimeout(r, 300)); console.log('from the second')`,
    );
    await kernel.finished(second);
    expect(kernel.textOf(first)).toBe('from the first\n');
    expect(kernel.textOf(second)).toBe('from the second\n');
  });

  it('a display shown again under its id is updated in place; of many updates the last arrives', async () => {
    const { outputs } = await kernel.execute(`for (let i = 0; i <= 1000; i++) display(i, { id: 'counter' })`);
    const texts = outputs.map(({ type, content }) => [
      type,
      content.data['text/plain'],
      content.transient.display_id,
    ]);
    expect(texts[0]).toEqual(['display_data', '0', 'counter']);
    expect(texts.at(-1)).toEqual(['update_display_data', '1000', 'counter']);
    expect(texts.length).toBeLessThan(100); // a busy machine takes longer, and more of them are sent meanwhile
  });

  it('an update from another cell reaches the display; the id shown in a new cell is a new display', async () => {
    const elsewhere = await kernel.execute(`display('moved on', { id: 'counter', update: true })`);
    expect(elsewhere.outputs.map(({ type }) => type)).toEqual(['update_display_data']);
    const again = await kernel.execute(`display('restarted', { id: 'counter' })`);
    expect(again.outputs.map(({ type }) => type)).toEqual(['display_data']);
  });

  it('clear_output comes after what was printed before it', async () => {
    const { outputs } = await kernel.execute(
      `console.log('old'); clearOutput({ wait: true }); console.log('new')`,
    );
    expect(outputs.map(({ type, content }) => content.text ?? [type, content.wait])).toEqual([
      'old\n',
      ['clear_output', true],
      'new\n',
    ]);
  });

  it('input asks the front end over stdin', async () => {
    const id = kernel.begin(`await input('name? ')`, { allow_stdin: true });
    const question = await until(() => kernel.replies.find(({ type }) => type === 'input_request'));
    expect(question).toMatchObject({ parent: id, content: { prompt: 'name? ', password: false } });
    kernel.send('stdin', 'input_reply', { value: 'Ada' });
    const { outputs } = await kernel.finished(id);
    expect(outputs.at(-1)!.content.data['text/plain']).toBe("'Ada'");
    const refused = await kernel.execute(`await input('name? ')`, { allow_stdin: false });
    expect(refused.reply.evalue).toContain('does not take input');
  });
}
