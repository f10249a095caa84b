/** Runs a notebook headless, cell by cell, on our kernel: `patchwise notebook run`. No Python. */
import { dirname, resolve } from 'node:path';
import { NotebookFailed } from '../../src/index';
import { afterSeconds } from '../../src/timer';
import type { StreamName } from '../protocol/output';
import type { Message } from '../protocol/wire';
import { KernelClient } from './client';
import {
  cellsToRun,
  hasTag,
  type Notebook,
  type Output,
  type Parameters,
  readNotebook,
  requireOurLanguage,
  sourceOf,
  withParameters,
} from './notebook';
import { NotebookSaver, OutputFile } from './output-file';
import { answerError, CellOutputs } from './outputs';

/** What happens while a notebook runs, for a terminal to print. `cell` counts the code cells from 1. */
export type NotebookEvent =
  | { readonly type: 'kernel-ready'; readonly cells: number }
  | { readonly type: 'cell-started'; readonly cell: number; readonly cells: number; readonly source: string }
  | { readonly type: 'text'; readonly cell: number; readonly name: StreamName; readonly text: string }
  | { readonly type: 'outputs'; readonly cell: number; readonly outputs: readonly Output[] }
  | { readonly type: 'cell-ended'; readonly cell: number; readonly ok: boolean; readonly seconds: number }
  /** Written past the cells to the kernel's stderr, by children or native code; not part of the notebook. */
  | { readonly type: 'kernel-stderr'; readonly text: string }
  | { readonly type: 'not-saved'; readonly error: Error }
  | { readonly type: 'written'; readonly notebook: Notebook };

interface RunNotebookOptions {
  readonly path: string;
  /** Where the executed notebook is written; `path` itself if not given. A device or pipe is written once, at the end. */
  readonly output?: string;
  readonly parameters?: Parameters;
  /** Seconds that one cell may take; a longer one is interrupted and fails. No limit if not given. */
  readonly cellTimeout?: number | undefined;
  /** The folder that cells see as theirs; the notebook's, if not given. */
  readonly cwd?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Goes on after a failed cell, as for a cell tagged "raises-exception". */
  readonly allowErrors?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: NotebookEvent) => void) | undefined;
}

interface NotebookRun {
  readonly output: string;
  readonly notebook: Notebook;
  readonly seconds: number;
}

/**
 * Runs every code cell of a notebook in order, but for those tagged "skip-execution". Writes the executed notebook after
 * each cell and every ten seconds within one, and at the end, also when a cell fails, when it takes too long and when
 * `signal` aborts. @throws NotebookFailed in those cases, after the file is written. Before the first cell it throws
 * UnreadableFile for a notebook of another language, and the system's error if the output cannot be written.
 */
export async function runNotebook(options: RunNotebookOptions): Promise<NotebookRun> {
  const started = performance.now();
  const path = resolve(options.path);
  const output = resolve(options.output ?? path);
  const original = await readNotebook(path);
  requireOurLanguage(path, original);
  const notebook = withParameters(original, options.parameters ?? {});
  const file = await OutputFile.open(output);
  const onEvent = options.onEvent ?? (() => {});
  const saver = new NotebookSaver(file, notebook, (error) => onEvent({ type: 'not-saved', error }));
  for (const cell of cellsToRun(notebook)) {
    cell.outputs = [];
    cell.execution_count = null;
  }
  notebook.metadata = { ...notebook.metadata, kernelspec: KERNELSPEC, language_info: LANGUAGE_INFO };
  const client = await KernelClient.start({
    cwd: options.cwd ?? dirname(path),
    // Nobody waits at a keyboard: every cell is held up until its types are checked.
    environment: { PATCHWISE_TYPES: 'strict', ...options.environment },
  });
  const save = (): void => void saver.save(); // whoever stops us may not wait until the cell has ended
  options.signal?.addEventListener('abort', save, { once: true });
  let failure: NotebookFailed | undefined;
  try {
    failure = await runCells(client, notebook, saver, { ...options, output, onEvent });
  } finally {
    options.signal?.removeEventListener('abort', save);
    await client.close();
    await saver.finish();
    onEvent({ type: 'written', notebook });
  }
  if (failure) throw failure;
  return { output, notebook, seconds: (performance.now() - started) / 1000 };
}

const KERNELSPEC = { display_name: 'Patchwise (TypeScript)', language: 'typescript', name: 'patchwise' };
const LANGUAGE_INFO = { name: 'typescript', file_extension: '.ts', mimetype: 'text/typescript' };

async function runCells(
  client: KernelClient,
  notebook: Notebook,
  saver: NotebookSaver,
  options: RunNotebookOptions & Required<Pick<RunNotebookOptions, 'output' | 'onEvent'>>,
): Promise<NotebookFailed | undefined> {
  const { output, onEvent } = options;
  const cells = cellsToRun(notebook);
  const collected = new CellOutputs();
  const numberOf = new Map<readonly Output[], number>();
  client.onOutput = (message) => {
    const changed = collected.apply(message);
    const cell = changed && numberOf.get(changed);
    if (!changed || !cell) return;
    saver.changed();
    if (message.header.msg_type === 'stream') {
      const name = message.content.name === 'stderr' ? 'stderr' : 'stdout';
      onEvent({ type: 'text', cell, name, text: String(message.content.text) });
    } else onEvent({ type: 'outputs', cell, outputs: changed });
  };
  client.process.onStderr = (text) => onEvent({ type: 'kernel-stderr', text });
  const start = limitCell(client, { signal: options.signal });
  try {
    // The compiler loads with the first question to it: before the first cell, whose time it is not.
    await client.request('inspect_request', { code: '', cursor_pos: 0 });
  } catch (error) {
    return new NotebookFailed(output, 1, start.reason() ?? (error as Error).message, [], { cause: error });
  } finally {
    start.clear();
  }
  onEvent({ type: 'kernel-ready', cells: cells.length });

  for (const [at, cell] of cells.entries()) {
    const number = at + 1;
    if (options.signal?.aborted) return new NotebookFailed(output, number, 'aborted', []);
    const outputs: Output[] = [];
    cell.outputs = outputs;
    numberOf.set(outputs, number);
    onEvent({ type: 'cell-started', cell: number, cells: cells.length, source: sourceOf(cell) });
    const begun = performance.now();
    const limit = limitCell(client, options);
    let reply: Message;
    try {
      reply = await client.execute(sourceOf(cell), { onSent: (id) => collected.collect(id, outputs) });
    } catch (error) {
      const reason = limit.reason() ?? (error as Error).message;
      return new NotebookFailed(output, number, reason, [], { cause: error });
    } finally {
      limit.clear();
    }
    cell.execution_count = Number(reply.content.execution_count ?? number);
    await saver.save();
    const failed = reply.content.status === 'ok' ? answerError(outputs) : reply.content;
    const ok = failed === undefined;
    onEvent({ type: 'cell-ended', cell: number, ok, seconds: (performance.now() - begun) / 1000 });
    const expected = options.allowErrors || hasTag(cell, 'raises-exception');
    if (failed && (limit.reason() !== undefined || !expected)) {
      const { ename, evalue, traceback } = failed;
      const reason = limit.reason() ?? `${ename}: ${evalue}`;
      return new NotebookFailed(output, number, reason, (traceback ?? []) as string[]);
    }
  }
  return undefined;
}

const ASK_AGAIN_MS = 1000;
const PATIENCE_MS = 10_000;

/**
 * When the time of a cell is over or the caller aborts, the cell is asked to end again and again, then its kernel is
 * killed. `reason` says why, if that happened.
 */
function limitCell(
  client: KernelClient,
  { cellTimeout, signal }: { cellTimeout?: number | undefined; signal?: AbortSignal | undefined },
) {
  let reason: string | undefined;
  let asking: NodeJS.Timeout | undefined;
  let patience: NodeJS.Timeout | undefined;
  const interrupt = (): void => void client.send('interrupt_request', {}, 'control');
  const stop = (why: string): void => {
    if (reason !== undefined) return;
    reason = why;
    interrupt();
    asking = setInterval(interrupt, ASK_AGAIN_MS); // the first may have come before the cell had begun
    // Code that no interrupt reaches, deep in a native call for instance, goes with its kernel.
    patience = setTimeout(() => client.process.kill(), PATIENCE_MS);
  };
  const onAbort = (): void => stop('aborted');
  const late = (): void => stop(`took longer than ${cellTimeout} s`);
  const endLimit = cellTimeout === undefined ? undefined : afterSeconds(cellTimeout, late);
  signal?.addEventListener('abort', onAbort, { once: true });
  return {
    clear() {
      endLimit?.();
      clearInterval(asking);
      clearTimeout(patience);
      signal?.removeEventListener('abort', onAbort);
    },
    reason: () => reason,
  };
}
