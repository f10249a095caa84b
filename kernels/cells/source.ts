/**
 * From positions in the JavaScript of a cell back to the lines that the user wrote, through the source maps of whatever
 * steps the engine's compiler took.
 */
import { SourceMap, type SourceMapPayload } from 'node:module';

const NAME = /cell-((?:0-)?\d+)\.ts:(\d+):(\d+)/g;

/**
 * The name V8 prints in the stack frames of a cell's code; it holds no blank, which a sourceURL must not.
 * @param cell the cell's number, or `0-n` for the n-th piece of code that has none
 */
export function cellFileName(cell: string): string {
  return `cell-${cell}.ts`;
}

/** Text put into a line, so that positions after it can be taken back. Lines and columns count from 1. */
export interface Insertion {
  readonly line: number;
  readonly column: number;
  readonly length: number;
}

interface CellSource {
  readonly code: string;
  /** What was put into the compiled code afterwards. */
  readonly insertions: readonly Insertion[];
  /** From what was compiled back to what was written, as JSON. */
  readonly maps: readonly string[];
  /** Lines that the compiler's input has above the user's first. */
  readonly linesAbove: number;
}

/** Frames in cells that are older keep their compiled positions. */
const REMEMBERED_CELLS = 2000;

export class CellSources {
  readonly #cells = new Map<string, CellSource>();
  readonly #files = new Map<string, CellSource>();

  add(cell: string, source: CellSource): void {
    this.#cells.set(cell, source);
    if (this.#cells.size > REMEMBERED_CELLS) this.#cells.delete(this.#cells.keys().next().value!);
  }

  /** A local module that the engine has compiled; its frames are named by its path. */
  addFile(path: string, source: CellSource): void {
    this.#files.set(path, source);
  }

  /** A stack with every cell position rewritten as `Cell [3]:line:column` of the cell's own text. */
  rewrite(stack: string): string {
    // tslab keeps what cells declare on a proxy, which V8 names as the receiver of their functions.
    const named = stack.replace(/^(\s+at (?:async )?)Proxy\.(?=\S+ \(cell-)/gm, '$1');
    const inFiles = [...this.#files].reduce((text, [path, source]) => rewriteFile(text, path, source), named);
    return inFiles.replace(
      NAME,
      (_, cell: string, line: string, column: string) =>
        `Cell [${cell}]:${original(this.#cells.get(cell), line, column)}`,
    );
  }

  /** The lines of the cell around the first frame that lies in one, with an arrow at the frame's line. */
  excerpt(rewritten: string): string | undefined {
    const frame = /Cell \[((?:0-)?\d+)\]:(\d+):\d+/.exec(rewritten);
    const code = frame && this.#cells.get(frame[1]!)?.code.split('\n');
    if (!frame || !code) return undefined;
    const at = Number(frame[2]);
    const rows: string[] = [];
    for (let line = Math.max(1, at - 2); line <= Math.min(code.length, at + 2); line++) {
      rows.push(`${line === at ? '----> ' : '      '}${String(line).padStart(3)} ${code[line - 1]}`);
    }
    return rows.join('\n');
  }
}

function rewriteFile(stack: string, path: string, source: CellSource): string {
  const [before, ...parts] = stack.split(`${path}:`);
  const rewritten = parts.map((part) =>
    part.replace(/^(\d+):(\d+)/, (_, line: string, column: string) => original(source, line, column)),
  );
  return [before, ...rewritten].join(`${path}:`);
}

/** The place, `line:column`, that one in compiled code comes from. */
function original(source: CellSource | undefined, compiledLine: string, compiledColumn: string): string {
  let line = Number(compiledLine);
  let column = columnWithout(source?.insertions ?? [], line, Number(compiledColumn));
  for (const map of source?.maps ?? []) {
    const entry = new SourceMap(JSON.parse(map) as SourceMapPayload).findEntry(line - 1, column - 1);
    if (!('originalLine' in entry)) break;
    [line, column] = [entry.originalLine + 1, entry.originalColumn + 1];
  }
  return `${Math.max(1, line - (source?.linesAbove ?? 0))}:${column}`;
}

/** The column that a position of the checked code has in the code before the checks. */
function columnWithout(insertions: readonly Insertion[], line: number, column: number): number {
  let before = column;
  for (const insertion of insertions) {
    if (insertion.line === line && insertion.column < before) before -= insertion.length;
  }
  return Math.max(1, before);
}
