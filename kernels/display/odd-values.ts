/** Reading and printing values that may throw at every touch: proxies, getters, a person's own `toString`. */
import { inspect } from 'node:util';
import { attempt } from '../../src/errors';

/** A property of any value; undefined if it cannot be read. */
export function read(value: unknown, key: PropertyKey): unknown {
  return attempt(() => (value as Record<PropertyKey, unknown>)[key]);
}

/** The value as Node prints it; only its kind if printing throws. */
export function shown(value: unknown, options: Parameters<typeof inspect>[1] = {}): string {
  return (
    attempt(() => inspect(value, options)) ??
    attempt(() => inspect(value, { ...options, customInspect: false })) ??
    attempt(() => Object.prototype.toString.call(value)) ??
    `[${typeof value}]`
  );
}

/** The value as text: a string unchanged, anything else as `String` writes it or, if that throws, as Node does. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const text = attempt(() => String(value));
  return typeof text === 'string' ? text : shown(value);
}

/** Node stores the asynchronous context on promises and timers: in a cell, the header of its request. */
const MARKS = /^(async_id_symbol|trigger_async_id_symbol|kResourceStore|asyncId|triggerId)$/;

/**
 * Makes values print in cells without the fields that Node and the kernel have added for their own use.
 * @param stackOf an error's stack, in the lines that the user wrote
 */
export function tidyInspection(stackOf: (error: object) => string): void {
  const timer = setTimeout(() => {}, 0);
  const immediate = setImmediate(() => {});
  for (const example of [Promise.resolve(), timer, immediate])
    before(Object.getPrototypeOf(example), hideMarks);
  clearTimeout(timer);
  clearImmediate(immediate);
  before(Error.prototype, (error) => {
    const own = Object.getOwnPropertyDescriptor(error, 'stack');
    if (!own || (!own.configurable && !own.writable) || typeof read(error, 'stack') !== 'string') return;
    const value = stackOf(error);
    Object.defineProperty(error, 'stack', { value, writable: true, configurable: true, enumerable: false });
  });
}

/** Has `work` change a value each time before it is printed. */
function before(prototype: object, work: (value: object) => void): void {
  function tidied(this: object): object {
    if (Object.isExtensible(this)) attempt(() => work(this)); // if that fails the value prints unchanged
    return this;
  }
  Object.defineProperty(prototype, inspect.custom, { value: tidied, writable: true, configurable: true });
}

function hideMarks(value: object): void {
  for (const symbol of Object.getOwnPropertySymbols(value))
    if (MARKS.test(symbol.description ?? '')) Object.defineProperty(value, symbol, { enumerable: false });
}
