import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { installKernel } from '../../../kernels/install';
import { pythonWith } from '../../python';
import '../raw-kernel'; // refuses a stale build

/* papermill writes parameters in the languages it knows. Ours is none of them; its C# is TypeScript where a value is plain. */

const python = pythonWith('papermill');

const prefix = mkdtempSync(join(tmpdir(), 'patchwise-papermill-'));
afterAll(() => rmSync(prefix, { recursive: true, force: true, maxRetries: 3 }));

const CELLS = [
  {
    source: `let steps = 600;\nlet name: string = 'none';\nlet fast = false;\nlet rate = 1;`,
    tags: ['parameters'],
  },
  { source: `[steps, name, fast, rate]`, tags: [] },
  { source: `if (name === 'bad') throw new RangeError('wanted');`, tags: [] },
];

async function papermill(...args: string[]): Promise<{ failure?: string; outputs: Output[][] }> {
  await installKernel({ prefix });
  const kernelspec = { name: 'patchwise', display_name: 'Patchwise (TypeScript)', language: 'typescript' };
  const cells = CELLS.map(({ source, tags }, at) => ({
    ...{ cell_type: 'code', id: `cell-${at}`, source, metadata: { tags } },
    ...{ outputs: [], execution_count: null },
  }));
  const notebook = { cells, metadata: { kernelspec }, nbformat: 4, nbformat_minor: 5 };
  const [from, to] = [join(prefix, 'in.ipynb'), join(prefix, 'out.ipynb')];
  writeFileSync(from, JSON.stringify(notebook));
  const env = { ...process.env, JUPYTER_PATH: join(prefix, 'share/jupyter'), HOME: prefix };
  const run = promisify(execFile)(python!, ['-m', 'papermill', from, to, ...args], { env, cwd: prefix });
  const failure = await run.then(
    () => undefined,
    (error: { stderr: string }) => error.stderr,
  );
  const executed = JSON.parse(readFileSync(to, 'utf8')) as { cells: { outputs?: Output[] }[] };
  return { ...(failure && { failure }), outputs: executed.cells.map(({ outputs = [] }) => outputs) };
}

interface Output {
  readonly ename?: string;
  readonly data?: Record<string, string>;
}

const textOf = (outputs: Output[] | undefined): string => String(outputs?.[0]?.data?.['text/plain']);

it.skipIf(!python)(
  'papermill executes a notebook as it is',
  async () => {
    const { failure, outputs } = await papermill();
    expect(failure).toBeUndefined();
    expect(textOf(outputs[1])).toBe(`[ 600, 'none', false, 1 ]`);
  },
  120_000,
);

it.skipIf(!python)(
  'papermill gives numbers, texts and truth values as parameters',
  async () => {
    const values = [
      '-p',
      'steps',
      '20',
      '-r',
      'name',
      'a "b" \\ é',
      '-p',
      'fast',
      'True',
      '-p',
      'rate',
      '-0.5',
    ];
    const { failure, outputs } = await papermill('--language', '.net-csharp', ...values);
    expect(failure).toBeUndefined();
    expect(textOf(outputs[2])).toBe(`[ 20, 'a "b" \\\\ é', true, -0.5 ]`);
  },
  120_000,
);

it.skipIf(!python)(
  'papermill fails where a cell does, and says with what',
  async () => {
    const { failure, outputs } = await papermill('--language', '.net-csharp', '-p', 'name', 'bad');
    expect(failure).toContain('RangeError: wanted');
    // papermill puts a cell of its own at the top that says so.
    expect(outputs.flat().some(({ ename }) => ename === 'RangeError')).toBe(true);
  },
  120_000,
);
