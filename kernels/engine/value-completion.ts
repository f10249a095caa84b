/**
 * Completion from what is there: the names of cells and globals, and the properties of their values. It answers while
 * the types are still loading, when a front end would give up waiting. No getter is called and nothing is run.
 */
import type { Completion } from '../cells/engine';
import { read } from '../display/odd-values';

/** A chain of names up to the cursor, `a.b.c`, not behind a quote: the last one may be unfinished or empty. */
const CHAIN = /(?:^|[^\w$.])((?:[A-Za-z_$][\w$]*\.)*)([\w$]*)$/;

/** @param names what cells have declared; `globalThis` is looked into after it */
export function completionFromValues(
  code: string,
  position: number,
  names: Readonly<Record<string, unknown>>,
): Completion | undefined {
  const line = code.slice(code.lastIndexOf('\n', position - 1) + 1, position);
  const [, path, typed] = CHAIN.exec(line) ?? [];
  if (path === undefined || typed === undefined || isQuoted(line)) return undefined;
  const chain = path.split('.').slice(0, -1);
  const found = chain.length === 0 ? topNames(names) : propertiesOf(valueAt(chain, names));
  const wanted = typed.toLowerCase();
  const matches = [...found.keys()]
    .filter((name) => name.toLowerCase().startsWith(wanted) && /^[A-Za-z_$][\w$]*$/.test(name))
    .sort();
  if (matches.length === 0 || (chain.length === 0 && typed === '')) return undefined;
  const start = position - typed.length;
  return { matches, kinds: matches.map((name) => found.get(name)!), start, end: position };
}

function isQuoted(line: string): boolean {
  return /^(?:[^'"`]|'[^']*'|"[^"]*"|`[^`]*`)*['"`][^'"`]*$/.test(line) || /\/\//.test(line);
}

function topNames(names: Readonly<Record<string, unknown>>): Map<string, string> {
  return new Map([...propertiesOf(globalThis), ...Object.keys(names).map((name) => [name, 'var'] as const)]);
}

/** The value of a chain of names as far as it is plain data; a cell's own names are accessors of variables. */
function valueAt([first, ...rest]: readonly string[], names: Readonly<Record<string, unknown>>): unknown {
  const owner = first! in names ? names : (globalThis as Record<string, unknown>);
  const value = read(owner, first!); // undefined if it is declared and not yet there
  return rest.reduce((inside: unknown, name) => descriptorOf(inside, name)?.value, value);
}

function descriptorOf(value: unknown, name: string): PropertyDescriptor | undefined {
  for (const owner of prototypesOf(value)) {
    const found = Object.getOwnPropertyDescriptor(owner, name);
    // What a CommonJS module exports again is a getter without effects; any other is left alone.
    if (found?.get && Object.hasOwn(owner, '__esModule'))
      return { value: (owner as Record<string, unknown>)[name] };
    if (found) return found;
  }
  return undefined;
}

function propertiesOf(value: unknown): Map<string, string> {
  const found = new Map<string, string>();
  for (const owner of prototypesOf(value))
    for (const [name, { value: held }] of Object.entries(Object.getOwnPropertyDescriptors(owner)))
      if (!found.has(name)) found.set(name, typeof held === 'function' ? 'method' : 'property');
  return found;
}

/** An object and its prototypes, those of a primitive's wrapper too; not Object's own, which nobody looks for. */
function prototypesOf(value: unknown): object[] {
  if (value === undefined || value === null) return [];
  const chain: object[] = [];
  let owner = Object(value) as object | null;
  for (; owner; owner = Object.getPrototypeOf(owner) as object | null)
    if (owner !== Object.prototype) chain.push(owner);
  return chain;
}
