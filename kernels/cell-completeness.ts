/** Whether a front end's Enter key should run a cell or go on to the next line. */
import type { CellEmitter } from './cell-emit';
import type { Completeness } from './engine';

const INDENT = '  ';

/** What a parser says at the end of a text that could go on: something is missing there, or open since before. */
const EXPECTED_MORE = new Set([
  1002, // unterminated string literal: only templates may go on, but a parser says so of both
  1003, // identifier expected, as after "x." and "function"
  1005, // ... expected
  1010, // */ expected
  1109, // expression expected
  1110, // type expected
  1126, // unexpected end of text
  1128, // declaration or statement expected
  1135, // argument expression expected
  1136, // property assignment expected
  1160, // unterminated template literal
  1161, // unterminated regular expression literal
]);

export function completenessOf(emitter: CellEmitter, code: string): Completeness {
  const file = emitter.parse(code, 'cell.ts') as unknown as {
    parseDiagnostics: readonly { code: number; start: number; length: number }[];
  };
  const [first] = file.parseDiagnostics;
  if (!first) return { status: 'complete' };
  const end = code.trimEnd().length;
  const isAtEnd = first.start + first.length >= end && first.start >= end - 1;
  const isOpen = first.code === 1160 || first.code === 1010;
  if (!isOpen && !(isAtEnd && EXPECTED_MORE.has(first.code))) return { status: 'invalid' };
  if (first.code === 1002) return { status: 'invalid' };
  const line = code.trimEnd().split('\n').at(-1) ?? '';
  const indent = /^\s*/.exec(line)![0] + (/[{([]$/.test(line) ? INDENT : '');
  return { status: 'incomplete', indent };
}
