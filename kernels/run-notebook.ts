/** Runs a notebook headless, cell by cell, on our kernel: `patchwise notebook run`. No Python. */
import { dirname, resolve } from 'node:path';
import { NotebookFailed } from '../src/index';
import { CellOutputs } from './cell-outputs';
import { KernelClient } from './client';
import {
  type Cell,
  type Notebook,
  type Output,
  type Parameters,
  readNotebook,
  sourceOf,
  withParameters,
  writeNotebook,
} from './notebook';
import type { Message } from './wire';

/** What happens while a notebook runs, for a terminal to print. `cell` counts the code cells from 1. */
export type NotebookEvent =
  | { readonly type: 'kernel-ready'; readonly cells: number }
  | { readonly type: 'cell-started'; readonly cell: number; readonly cells: number; readonly source: string }
  | {
      readonly type: 'text';
      readonly cell: number;
      readonly name: 'stdout' | 'stderr';
      readonly text: string;
    }
  | { readonly type: 'outputs'; readonly cell: number; readonly outputs: readonly Output[] }
  | { readonly type: 'cell-ended'; readonly cell: number; readonly ok: boolean; readonly seconds: number };

export interface RunNotebookOptions {
  readonly path: string;
  /** Where the executed notebook is written; `path` itself if not given. */
  readonly output?: string;
  readonly parameters?: Parameters;
  /** Seconds that one cell may take; a longer one is interrupted and fails. No limit if not given. */
  readonly cellTimeout?: number;
  /** The folder that cells see as theirs; the notebook's, if not given. */
  readonly cwd?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Goes on after a failed cell, as for a cell tagged "raises-exception". */
  readonly allowErrors?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: NotebookEvent) => void;
}

export interface NotebookRun {
  readonly output: string;
  readonly notebook: Notebook;
  readonly seconds: number;
}

/**
 * Runs every code cell of a notebook in order and writes the executed notebook, also when a cell fails, when a cell
 * takes too long and when `signal` aborts. @throws NotebookFailed in those cases, after the file is written.
 */
export async function runNotebook(options: RunNotebookOptions): Promise<NotebookRun> {
  const started = performance.now();
  const path = resolve(options.path);
  const output = resolve(options.output ?? path);
  const notebook = withParameters(await readNotebook(path), options.parameters ?? {});
  for (const cell of notebook.cells) if (cell.cell_type === 'code') clear(cell);
  const client = await KernelClient.start({
    cwd: options.cwd ?? dirname(path),
    // Nobody waits at a keyboard: every cell is held up until its types are checked.
    environment: { PATCHWISE_TYPES: 'strict', ...options.environment },
  });
  let failure: NotebookFailed | undefined;
  try {
    // The compiler loads with the first question to it: before the first cell, whose time it is not.
    await client.request('inspect_request', { code: '', cursor_pos: 0 });
    failure = await runCells(client, notebook, output, options);
  } finally {
    await client.close();
    notebook.metadata = { ...notebook.metadata, kernelspec: KERNELSPEC, language_info: LANGUAGE_INFO };
    await writeNotebook(output, notebook);
  }
  if (failure) throw failure;
  return { output, notebook, seconds: (performance.now() - started) / 1000 };
}

const KERNELSPEC = { display_name: 'Patchwise (TypeScript)', language: 'typescript', name: 'patchwise' };
const LANGUAGE_INFO = { name: 'typescript', file_extension: '.ts', mimetype: 'text/typescript' };

function clear(cell: Cell): void {
  cell.outputs = [];
  cell.execution_count = null;
}

async function runCells(
  client: KernelClient,
  notebook: Notebook,
  output: string,
  options: RunNotebookOptions,
): Promise<NotebookFailed | undefined> {
  const onEvent = options.onEvent ?? (() => {});
  const cells = notebook.cells.filter((cell) => cell.cell_type === 'code' && sourceOf(cell).trim() !== '');
  const collected = new CellOutputs();
  const numberOf = new Map<readonly Output[], number>();
  client.onOutput = (message) => {
    const changed = collected.apply(message);
    const cell = changed && numberOf.get(changed);
    if (!changed || !cell) return;
    if (message.header.msg_type === 'stream') {
      const name = message.content.name === 'stderr' ? 'stderr' : 'stdout';
      onEvent({ type: 'text', cell, name, text: String(message.content.text) });
    } else onEvent({ type: 'outputs', cell, outputs: changed });
  };
  onEvent({ type: 'kernel-ready', cells: cells.length });

  for (const [at, cell] of cells.entries()) {
    const number = at + 1;
    if (options.signal?.aborted) return new NotebookFailed(output, number, 'aborted', []);
    const outputs: Output[] = [];
    cell.outputs = outputs;
    numberOf.set(outputs, number);
    onEvent({ type: 'cell-started', cell: number, cells: cells.length, source: sourceOf(cell) });
    const begun = performance.now();
    const limit = limitOf(client, options);
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
    const ok = reply.content.status === 'ok';
    onEvent({ type: 'cell-ended', cell: number, ok, seconds: (performance.now() - begun) / 1000 });
    const expected = options.allowErrors || cell.metadata?.tags?.includes('raises-exception');
    if (!ok && (limit.reason() !== undefined || !expected)) {
      const { ename, evalue, traceback } = reply.content;
      return new NotebookFailed(
        output,
        number,
        limit.reason() ?? `${ename}: ${evalue}`,
        (traceback ?? []) as string[],
      );
    }
  }
  return undefined;
}

/** How a cell that should end is asked to: again and again, then its kernel is killed. */
const ASK_AGAIN_MS = 1000;
const PATIENCE_MS = 10_000;

/** Interrupts the running cell when its time is over or the caller aborts, and remembers why. */
function limitOf(
  client: KernelClient,
  { cellTimeout, signal }: RunNotebookOptions,
): { clear(): void; reason(): string | undefined } {
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
  const timer =
    cellTimeout === undefined
      ? undefined
      : setTimeout(() => stop(`took longer than ${cellTimeout} s`), cellTimeout * 1000);
  signal?.addEventListener('abort', onAbort, { once: true });
  return {
    clear() {
      clearTimeout(timer);
      clearInterval(asking);
      clearTimeout(patience);
      signal?.removeEventListener('abort', onAbort);
    },
    reason: () => reason,
  };
}
