/** What the compiler has to say about a cell, as an `error` message. */
import type { PlacedMessage } from './compile';
import type { CellError } from './engine';

/** Every message with its place in the cell and the line it is about. */
export function typeErrors(messages: readonly PlacedMessage[], code: string, cell: string): CellError {
  const lines = code.split('\n');
  return diagnosed(
    messages.map(({ offset, text }) => {
      const before = code.slice(0, offset).split('\n');
      const [line, column] = [before.length, before.at(-1)!.length + 1];
      return `Cell [${cell}]:${line}:${column} - ${text}\n${String(line).padStart(9)} ${lines[line - 1]}`;
    }),
  );
}

/** @param diagnostics at least one, each with its place and line */
export function diagnosed(diagnostics: readonly string[]): CellError {
  return { ename: 'TypeScriptError', evalue: diagnostics[0]!.split('\n')[0]!, traceback: diagnostics };
}
