/** How values print in cells: without what Node and the kernel have put on them for their own use. */
import { inspect } from 'node:util';
import { attempt, read } from './odd-values';

/** Node marks promises and timers with the asynchronous context of their making: our own header of the cell's request. */
const MARKS = /^(async_id_symbol|trigger_async_id_symbol|kResourceStore|asyncId|triggerId)$/;

/** @param stackOf an error's stack, in the lines that the user wrote */
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

/** Does `work` to a value each time before it is printed, as it is always printed. */
function before(prototype: object, work: (value: object) => void): void {
  function tidied(this: object): object {
    if (Object.isExtensible(this)) attempt(() => work(this)); // what cannot be tidied prints as it is
    return this;
  }
  Object.defineProperty(prototype, inspect.custom, { value: tidied, writable: true, configurable: true });
}

function hideMarks(value: object): void {
  for (const symbol of Object.getOwnPropertySymbols(value))
    if (MARKS.test(symbol.description ?? '')) Object.defineProperty(value, symbol, { enumerable: false });
}
