/** Notebook files (nbformat 4): reading, papermill's parameters, writing as valid 4.5. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { InvalidArgument, UnreadableFile } from '../../src/index';
import type { StreamName } from '../protocol/output';

/** nbformat allows a text as one string or as its lines. */
export type MultilineText = string | string[];

interface Bundle {
  data: Record<string, unknown>;
  metadata: Record<string, unknown>;
}

export type Output =
  | { output_type: 'stream'; name: StreamName; text: MultilineText }
  | ({ output_type: 'display_data' } & Bundle)
  | ({ output_type: 'execute_result'; execution_count: number | null } & Bundle)
  | { output_type: 'error'; ename: string; evalue: string; traceback: string[] };

export interface Cell {
  id?: string;
  cell_type: 'code' | 'markdown' | 'raw';
  source: MultilineText;
  metadata: Record<string, unknown> & { tags?: string[] };
  outputs?: Output[];
  execution_count?: number | null;
}

export interface Notebook {
  cells: Cell[];
  metadata: Record<string, unknown>;
  nbformat: number;
  nbformat_minor: number;
}

/** What a notebook may be given: literals of TypeScript that JSON can spell. */
export type Parameters = Readonly<Record<string, unknown>>;

const PARAMETERS = 'parameters';
const INJECTED = 'injected-parameters';

/** Reads a notebook of format 4. @throws UnreadableFile for anything else. */
export async function readNotebook(path: string): Promise<Notebook> {
  const unreadable = (expected: string, found: string, options?: ErrorOptions) =>
    new UnreadableFile(path, expected, found, options);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const found = { ENOENT: 'nothing there', ENOTDIR: 'nothing there', EISDIR: 'a folder' }[error.code ?? ''];
    throw found === undefined ? error : unreadable('a notebook', found, { cause: error });
  });
  let notebook: Partial<Notebook> | null;
  try {
    notebook = JSON.parse(text.replace(/^\ufeff/, '')) as Partial<Notebook> | null;
  } catch (error) {
    throw unreadable('a notebook', 'text that is not JSON', { cause: error });
  }
  if (notebook?.nbformat !== 4)
    throw unreadable('a notebook of nbformat 4', `nbformat ${notebook?.nbformat ?? 'missing'}`);
  const { cells } = notebook;
  if (!Array.isArray(cells)) throw unreadable('a notebook with a list of cells', typeof cells);
  const damaged = cells.findIndex((cell) => !isCell(cell));
  if (damaged >= 0) throw unreadable('cells with a type and a source', `another cell ${damaged + 1}`);
  return { nbformat_minor: 5, ...notebook, metadata: notebook.metadata ?? {} } as Notebook;
}

/** True for what has a type and a source of text, and outputs that are a list of things with a type, if any. */
function isCell(cell: unknown): boolean {
  if (typeof cell !== 'object' || cell === null) return false;
  const { cell_type, source, outputs = [] } = cell as Partial<Cell>;
  return typeof cell_type === 'string' && isText(source) && Array.isArray(outputs) && outputs.every(isOutput);
}

export function isOutput(output: unknown): output is Output {
  return typeof output === 'object' && output !== null && 'output_type' in output;
}

export function isText(value: unknown): value is MultilineText {
  return [value].flat().every((line) => typeof line === 'string');
}

/** The text of a notebook file of nbformat 4.5. */
export function notebookText(notebook: Notebook): string {
  const cells = notebook.cells.map(validCell);
  return `${JSON.stringify({ ...notebook, cells, nbformat: 4, nbformat_minor: 5 }, null, 1)}\n`;
}

/** The cells that a run executes, in order: those with code that are not tagged "skip-execution", as in nbclient. */
export function cellsToRun(notebook: Notebook): Cell[] {
  return notebook.cells.filter(
    (cell) => cell.cell_type === 'code' && sourceOf(cell).trim() !== '' && !hasTag(cell, 'skip-execution'),
  );
}

/** Refuses a notebook that says it is in another language. @throws UnreadableFile */
export function requireOurLanguage(path: string, { metadata }: Notebook): void {
  const { kernelspec, language_info } = metadata as Record<string, Record<string, unknown> | null>;
  const said = kernelspec?.language ?? language_info?.name;
  // A kernel of Python need not say its language, only its name.
  const language = said ?? /^x?python|^julia|^ir$/.exec(String(kernelspec?.name ?? ''))?.[0];
  if (language === undefined || /^(type|java)script$/i.test(String(language))) return;
  const received = `one in ${language}: run it with its own kernel, for instance by "jupyter nbconvert --execute"`;
  throw new UnreadableFile(path, 'a notebook in TypeScript or JavaScript', received);
}

export function sourceOf(cell: Cell): string {
  return joined(cell.source);
}

export function joined(text: MultilineText): string {
  return Array.isArray(text) ? text.join('') : text;
}

/**
 * The notebook with a cell of `parameters` after the one tagged "parameters" (before the first cell where there is
 * none); an injected cell of an earlier run is replaced. The names are assigned, so the notebook's own types hold.
 */
export function withParameters(notebook: Notebook, parameters: Parameters): Notebook {
  const cells = notebook.cells.filter((cell) => !hasTag(cell, INJECTED));
  if (Object.keys(parameters).length === 0) return { ...notebook, cells };
  const tagged = cells.findIndex((cell) => hasTag(cell, PARAMETERS));
  const source = assignments(parameters, joined(tagged < 0 ? '' : cells[tagged]!.source));
  const injected = validCell({ cell_type: 'code', source, metadata: { tags: [INJECTED] } });
  return { ...notebook, cells: cells.toSpliced(tagged + 1, 0, injected) };
}

/** Assignments stand in a block, so that none of them is the cell's last value; a `const` is declared again. */
function assignments(parameters: Parameters, declared: string): string {
  const constants: string[] = [];
  const variables: string[] = [];
  for (const [name, value] of Object.entries(parameters)) {
    if (!/^[A-Za-z_$][\w$]*$/.test(name)) throw new InvalidArgument('parameters', 'names of variables', name);
    const literal = JSON.stringify(value);
    if (literal === undefined)
      throw new InvalidArgument(`parameters.${name}`, 'a value JSON can spell', value);
    const isVariable = new RegExp(`\\b(let|var)\\s+${name.replaceAll('$', '\\$')}\\b`).test(declared);
    if (isVariable) variables.push(`  ${name} = ${literal};`);
    else constants.push(`const ${name} = ${literal};`);
  }
  return [...constants, ...(variables.length > 0 ? ['{', ...variables, '}'] : [])].join('\n');
}

export function hasTag(cell: Cell, tag: string): boolean {
  return cell.metadata?.tags?.includes(tag) ?? false;
}

function validCell(cell: Cell): Cell {
  const {
    id = randomBytes(4).toString('hex'),
    cell_type,
    metadata = {},
    source,
    outputs,
    execution_count,
    ...rest
  } = cell;
  const common = { ...rest, id, cell_type, metadata, source };
  if (cell_type !== 'code') return common;
  return { ...common, outputs: outputs ?? [], execution_count: execution_count ?? null };
}
