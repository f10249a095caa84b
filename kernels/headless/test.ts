/** `patchwise notebook test`: every notebook has to run, cell by cell, in the kernel of its own; files stay as they are. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { InvalidArgument, NotebookFailed } from '../../src/index';
import { cellsToRun, hasTag, type Notebook, type Output, type Parameters, readNotebook } from './notebook';
import { answerError } from './outputs';
import { type NotebookEvent, runNotebook } from './run';

interface NotebookTest {
  readonly notebook: string;
  readonly ok: boolean;
  readonly seconds: number;
  /** The cell that failed, counted from 1 among the cells with code, and why. */
  readonly cell?: number;
  readonly reason?: string;
  readonly traceback?: readonly string[];
}

interface TestNotebooksOptions {
  /** Given to the notebooks that have a cell tagged "parameters". */
  readonly parameters?: Parameters;
  /** Seconds that one cell may take. */
  readonly cellTimeout?: number;
  readonly signal?: AbortSignal;
  readonly onStart?: (notebook: string, at: number, of: number) => void;
  readonly onEvent?: (event: NotebookEvent) => void;
  readonly onEnd?: (result: NotebookTest) => void;
}

/**
 * Runs notebooks one after the other and says of each whether it passed: no cell failed (what a cell asserts is
 * asserted by running it), and every cell tagged "raises-exception" did. Outputs are not compared with stored ones.
 *
 * @param paths notebooks, and folders whose notebooks are meant, those in folders below included
 * @throws InvalidArgument where there is no notebook among them
 */
export async function testNotebooks(
  paths: readonly string[],
  options: TestNotebooksOptions = {},
): Promise<NotebookTest[]> {
  const notebooks = (await Promise.all(paths.map(notebooksAt))).flat();
  if (notebooks.length === 0) throw new InvalidArgument('notebooks', 'at least one .ipynb', paths);
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-notebook-test-'));
  const results: NotebookTest[] = [];
  try {
    for (const [at, path] of notebooks.entries()) {
      if (options.signal?.aborted) break;
      options.onStart?.(path, at + 1, notebooks.length);
      const result = await testNotebook(path, join(folder, `${at}-${basename(path)}`), options);
      results.push(result);
      options.onEnd?.(result);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return results;
}

async function testNotebook(
  path: string,
  output: string,
  { parameters = {}, cellTimeout, signal, onEvent }: TestNotebooksOptions,
): Promise<NotebookTest> {
  const started = performance.now();
  const ended = (failure?: Pick<NotebookTest, 'cell' | 'reason' | 'traceback'>): NotebookTest => {
    const seconds = (performance.now() - started) / 1000;
    return { notebook: path, ok: failure === undefined, seconds, ...failure };
  };
  try {
    const { cells } = await readNotebook(path);
    const takesParameters = cells.some((cell) => hasTag(cell, 'parameters'));
    const given = takesParameters ? parameters : {};
    const { notebook } = await runNotebook({ path, output, parameters: given, cellTimeout, signal, onEvent });
    const cell = cellThatShouldHaveFailed(notebook);
    if (cell === undefined) return ended();
    return ended({ cell, reason: 'is tagged raises-exception and raised none' });
  } catch (error) {
    if (!(error instanceof NotebookFailed)) return ended({ reason: (error as Error).message });
    const { cell, reason, traceback } = error;
    return ended({ cell, reason, traceback });
  }
}

function cellThatShouldHaveFailed(notebook: Notebook): number | undefined {
  const at = cellsToRun(notebook).findIndex(
    (cell) => hasTag(cell, 'raises-exception') && !hasRaised(cell.outputs ?? []),
  );
  return at < 0 ? undefined : at + 1;
}

function hasRaised(outputs: readonly Output[]): boolean {
  return outputs.some(({ output_type }) => output_type === 'error') || answerError(outputs) !== undefined;
}

async function notebooksAt(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return [resolve(path)];
  const names = await readdir(path, { recursive: true });
  const isHidden = (name: string) => /(^|[\\/])(\.ipynb_checkpoints|node_modules)[\\/]/.test(name);
  const notebooks = names.filter((name) => name.endsWith('.ipynb') && !isHidden(name));
  return notebooks.sort().map((name) => resolve(path, name));
}
