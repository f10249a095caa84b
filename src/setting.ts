/**
 * Settings as data. A table has their names, types, defaults, units, allowed values and meanings. The type of a config,
 * its checks, the help and the reference are made from it.
 */
import type { ConfigProblem } from './errors';
import { asVec3, type Size, type Vec3 } from './vec3';

export interface Meaning<T> {
  /** One sentence. */
  readonly meaning: string;
  readonly unit?: string;
  /** Its value where nothing else sets it. Absent where each preset or the machine decides. */
  readonly default?: T;
  /** Its value in a stored config that lacks it, where that is not the default. */
  readonly formerly?: T;
  /** A run may be resumed with another value: it does not change what a step computes. */
  readonly mayChange?: boolean;
}

export interface Setting<T = unknown> extends Meaning<T> {
  /** What a value must be, in the words of an error. */
  readonly type: string;
  /** The values to choose from, if they are few. */
  readonly allowed?: readonly string[];
  /** A config may lack it. */
  readonly optional?: boolean;
  /** The value, a size as [x, y, z]; undefined for a value that is not allowed. */
  read(value: unknown): T | undefined;
}

export type Settings = Readonly<Record<string, Setting>>;

type ValueOf<S> = S extends Setting<infer T> ? T : never;
type OptionalKey<S> = { [K in keyof S]: S[K] extends { optional: true } ? K : never }[keyof S];

/** The config that a table of settings describes. */
export type ConfigOf<S> = { readonly [K in Exclude<keyof S, OptionalKey<S>>]: ValueOf<S[K]> } & {
  readonly [K in OptionalKey<S>]?: ValueOf<S[K]>;
};

/** What a user may write for a config: one number for a size of three. */
export type Given<C> = { readonly [K in keyof C]: GivenValue<C[K]> };
type GivenValue<T> = T extends Vec3
  ? Size
  : T extends { readonly shape: Vec3 }
    ? Omit<T, 'shape'> & { readonly shape: Size }
    : T;

/** A setting of its own type. */
export function setting<T>(
  type: string,
  read: (value: unknown) => T | undefined,
  meaning: Meaning<NoInfer<T>>,
  allowed?: readonly string[],
): Setting<T> {
  return { ...meaning, type, read, ...(allowed && { allowed }) };
}

/** Settings of numbers that pass a test. */
function numbers(type: string, accepts: (value: number) => boolean) {
  const read = (value: unknown) => (typeof value === 'number' && accepts(value) ? value : undefined);
  return (meaning: Meaning<number>): Setting<number> => setting(type, read, meaning);
}

export const count = numbers('a whole number above 0', (n) => Number.isSafeInteger(n) && n > 0);
export const whole = numbers('a whole number, 0 or more', (n) => Number.isSafeInteger(n) && n >= 0);
export const amount = numbers('a number, 0 or more', (n) => Number.isFinite(n) && n >= 0);
export const positive = numbers('a number above 0', (n) => Number.isFinite(n) && n > 0);
export const fraction = numbers('a number in [0, 1)', (n) => n >= 0 && n < 1);

export const flag = (meaning: Meaning<boolean>): Setting<boolean> =>
  setting('true or false', (value) => (typeof value === 'boolean' ? value : undefined), meaning);

export const text = (type: string, meaning: Meaning<string>): Setting<string> =>
  setting(type, (value) => (typeof value === 'string' && value !== '' ? value : undefined), meaning);

export const size = (meaning: Meaning<Vec3>): Setting<Vec3> =>
  setting('a whole number above 0, or three [x, y, z]', readShape, meaning);

export function readShape(value: unknown): Vec3 | undefined {
  const shape = asVec3(value);
  return shape?.every((n) => Number.isSafeInteger(n) && n > 0) ? shape : undefined;
}

export function oneOf<T extends string>(allowed: readonly T[], meaning: Meaning<NoInfer<T>>): Setting<T> {
  const read = (value: unknown) => allowed.find((one) => one === value);
  return setting('one of the allowed values', read, meaning, allowed);
}

/** A list of at least one of what `read` accepts. */
export function listOf<T>(
  type: string,
  read: (value: unknown) => T | undefined,
  meaning: Meaning<readonly NoInfer<T>[]>,
): Setting<readonly T[]> {
  const readAll = (value: unknown): readonly T[] | undefined => {
    if (!Array.isArray(value) || value.length === 0) return undefined;
    const items = value.map(read);
    return items.includes(undefined) ? undefined : (items as T[]);
  };
  return setting(type, readAll, meaning);
}

export function optional<T>(one: Setting<T>): Setting<T> & { readonly optional: true } {
  return { ...one, optional: true };
}

/** The values of settings that a config lacks, or a `stored` config; no entry for a setting without one. */
export function defaultsOf(settings: Settings, stored = false): Record<string, unknown> {
  const all = Object.entries(settings).map(([key, one]) => [
    key,
    stored ? (one.formerly ?? one.default) : one.default,
  ]);
  return withoutUndefined(Object.fromEntries(all));
}

/** An object without its undefined entries. */
export function withoutUndefined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

/**
 * Reads a config by its table. Returns the values, and everything that is wrong.
 * @param prefix stands before the keys of problems, such as `model.`
 * @param others keys that the caller reads
 */
export function readSettings(
  settings: Settings,
  config: object,
  prefix = '',
  others: readonly string[] = [],
) {
  const given: Record<string, unknown> = withoutUndefined({ ...config });
  const known = [...new Set([...Object.keys(settings), ...others])];
  const problems: ConfigProblem[] = Object.keys(given)
    .filter((key) => !known.includes(key))
    .map((key) => ({ key: `${prefix}${key}`, expected: 'a known setting', received: key, allowed: known }));
  const values: Record<string, unknown> = {};
  for (const [key, { type: expected, allowed, optional, read }] of Object.entries(settings)) {
    const received = given[key];
    if (received === undefined && optional) continue;
    const value = read(received);
    if (value !== undefined) values[key] = value;
    else problems.push({ key: `${prefix}${key}`, expected, received, ...(allowed && { allowed }) });
  }
  return { values, problems };
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
