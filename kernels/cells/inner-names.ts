/** The names that compiled code uses for its own ends: none that begins like one of the file's. */
import type * as TypeScript from 'typescript';

export interface InnerNames {
  /** What earlier cells have declared: `cells.x`. */
  readonly cells: string;
  readonly declare: string;
  readonly star: string;
  readonly modules: string;
  readonly import: string;
  readonly meta: string;
  /** The value of `export default`. */
  readonly default: string;
  /** The interrupts' checks, and the slot of the present run. */
  readonly stop: string;
  readonly slot: string;
  /** The accessors of what the cell declares itself. */
  readonly own: string;
  readonly value: string;
  /** Module number `at`. */
  module(at: number): string;
  /** Whether a later cell has declared name number `at` of this cell again. */
  moved(at: number): string;
  /** The functions that fetch the value of such a name, and hand it on. */
  renew(at: number): string;
  give(at: number): string;
}

const MOVED = /\(\(_{2,}moved\d+ && _{2,}renew\d+\(\.\.\.\)\) , ([\p{ID_Continue}$]+)\)/gu;
const CALLED = /\(0 , (_{2,}(?:cells|m\d+)[^()\s]*)\)/g;
const REACHED = /(?<![\p{ID_Continue}$])_{2,}(?:cells|m\d+\.named)\.(?=[\p{ID_Continue}$])/gu;

/** A message of V8's that quotes compiled code, with the names as they were written. */
export function withoutInnerNames(message: string): string {
  if (!message.includes('__')) return message;
  return message.replace(MOVED, '$1').replace(CALLED, '$1').replace(REACHED, '');
}

export function innerNames(file: TypeScript.SourceFile): InnerNames {
  const { identifiers } = file as unknown as { readonly identifiers: ReadonlyMap<string, string> };
  let start = '__';
  while ([...identifiers.keys()].some((name) => name.startsWith(start))) start += '_';
  const name = (rest: string): string => start + rest;
  return {
    cells: name('cells'),
    declare: name('declare'),
    star: name('star'),
    modules: name('modules'),
    import: name('import'),
    meta: name('meta'),
    default: name('default'),
    stop: name('stop'),
    slot: name('slot'),
    own: name('own'),
    value: name('value'),
    module: (at) => name(`m${at}`),
    moved: (at) => name(`moved${at}`),
    renew: (at) => name(`renew${at}`),
    give: (at) => name(`give${at}`),
  };
}
