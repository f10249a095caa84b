/** Reading values that may throw at every touch: proxies, getters, `toString` and `inspect` of a person's own. */
import { inspect } from 'node:util';

/** What `work` gives; undefined where it throws. */
export function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** The property of any value; undefined where it cannot be read. */
export function read(value: unknown, key: PropertyKey): unknown {
  return attempt(() => (value as Record<PropertyKey, unknown>)[key]);
}

/** The value as Node prints it; its kind alone where printing it throws. */
export function shown(value: unknown, options: Parameters<typeof inspect>[1] = {}): string {
  return (
    attempt(() => inspect(value, options)) ??
    attempt(() => inspect(value, { ...options, customInspect: false })) ??
    attempt(() => Object.prototype.toString.call(value)) ??
    `[${typeof value}]`
  );
}

/** The value as a text: a string as it is, everything else as JavaScript or, failing that, Node writes it. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const text = attempt(() => String(value));
  return typeof text === 'string' ? text : shown(value);
}
