/** The names that compiled code uses for its own ends. */
import type ts from 'typescript';

type Given = 'cells' | 'declare' | 'star' | 'modules' | 'import' | 'meta';
type Made = 'own' | 'value' | 'default' | 'stop' | 'slot';
type Numbered = `${'m' | 'moved' | 'renew' | 'give'}${number}`;

/**
 * Makes the name for a word. No name of the file begins as these do:
 * - `cells.x` is what an earlier cell has declared, `own.x` what the cell declares itself, `value` what a setter is given;
 * - `declare`, `star`, `modules`, `import` and `meta` are given to the code, `default` is the value of `export default`;
 * - `m0` is the first module that it imports;
 * - `stop` has the interrupts' checks, `slot` is that of the present run;
 * - `moved0` says whether a later cell has declared the first name of this cell again, `renew0` fetches the value of that
 *   name, `give0` hands it on.
 */
export type InnerNames = (word: Given | Made | Numbered) => string;

export function innerNames({ identifiers }: ts.SourceFile): InnerNames {
  let start = '__';
  while ([...identifiers.keys()].some((name) => name.startsWith(start))) start += '_';
  return (word) => start + word;
}

const MOVED = /\(\(_{2,}moved\d+ && _{2,}renew\d+\(\.\.\.\)\) , ([\p{ID_Continue}$]+)\)/gu;
const CALLED = /\(0 , (_{2,}(?:cells|m\d+)[^()\s]*)\)/g;
const REACHED = /(?<![\p{ID_Continue}$])_{2,}(?:cells|m\d+\.named)\.(?=[\p{ID_Continue}$])/gu;

/** A message of V8's that quotes compiled code, with the names as they were written. */
export function withoutInnerNames(message: string): string {
  if (!message.includes('__')) return message;
  return message.replace(MOVED, '$1').replace(CALLED, '$1').replace(REACHED, '');
}
