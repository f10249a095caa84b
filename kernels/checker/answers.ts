/** TypeScript's answers in the words of the protocol, and of a reader. */
import type ts from 'typescript';
import type { Completion } from '../cells/engine';

/** @param offset where the cell's text starts in the text that TypeScript was asked about */
export function completionOf(
  found: ts.CompletionInfo | undefined,
  code: string,
  position: number,
  offset: number,
): Completion {
  const written = /[\w$\u0080-\uffff]*$/.exec(code.slice(0, position))![0];
  const spanned = found?.entries.find(({ replacementSpan }) => replacementSpan)?.replacementSpan;
  const start = spanned ? spanned.start - offset : position - written.length;
  const typed = code.slice(start, position);
  const prefix = typed.toLowerCase();
  const misses = ({ name }: ts.CompletionEntry): number => (name.startsWith(typed) ? 0 : 1);
  const entries = (found?.entries ?? [])
    .filter(({ name }) => name.toLowerCase().startsWith(prefix) && !name.startsWith('~'))
    .sort((a, b) => misses(a) - misses(b) || compare(a.sortText, b.sortText) || compare(a.name, b.name));
  return {
    matches: entries.map(({ name }) => name),
    kinds: entries.map(({ kind }) => kind),
    start,
    end: spanned ? spanned.start + spanned.length - offset : position,
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The text without the module names of cells, which TypeScript prints with types. */
export function readable(text: string): string {
  return text
    .replace(/import\("[^"]*~[\w-]+"\)\./g, '')
    .replace(/^\(alias\) ([\s\S]*)\n(?:import|export) .*$/, '$1')
    .replace(/^(Cannot assign to '.*' because it is) an import\.$/, '$1 a constant of another cell.');
}
