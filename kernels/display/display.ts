/** Values as MIME bundles, and the display hooks through which code in cells reaches its kernel. */
import { inspect, types } from 'node:util';
import type { CommRegistry } from '../protocol/comms';
import type { Parent } from '../protocol/output';
import type { Json } from '../protocol/wire';
import { attempt, read } from './odd-values';
import { tabularBundle } from './tabular';

export type MimeBundle = Record<string, unknown>;

/** How values of the library show themselves; undefined for a value that is none of its own. */
export type Present = (value: unknown) => MimeBundle | undefined;

/** The method by which any object can show itself in Jupyter (deno's convention). */
const SHOWS_ITSELF = Symbol.for('Jupyter.display');

/**
 * The bundle of any value: its own, the library's, or its text. A promise only where its own method returns one. A value
 * that throws when it is looked at, as a proxy may, is shown as its text.
 * @throws what the value's own method throws
 */
export function toMimeBundle(value: unknown, present: Present): MimeBundle | Promise<MimeBundle> {
  const own = callOwnMethod(value);
  const presented = (): MimeBundle | undefined =>
    types.isProxy(value) ? attempt(() => present(value)) : present(value);
  const others = (): MimeBundle | undefined => presented() ?? tabularBundle(value);
  if (own instanceof Promise) return own.then((bundle: unknown) => withText(bundle ?? others(), value));
  return withText(own ?? others(), value);
}

function callOwnMethod(value: unknown): unknown {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return undefined;
  const method = read(value, SHOWS_ITSELF);
  return typeof method === 'function' ? method.call(value) : undefined;
}

function withText(bundle: unknown, value: unknown): MimeBundle {
  const shown = typeof bundle === 'object' && bundle !== null ? (bundle as MimeBundle) : {};
  return 'text/plain' in shown ? shown : { ...shown, 'text/plain': inspect(value) };
}

export interface DisplayOptions {
  /** Names the display so that it can be replaced. A name shown before in the same cell is replaced. */
  readonly id?: string;
  /** Replace every display of this name, in whichever cell it is, instead of showing a new one. */
  readonly update?: boolean;
  /** The cell it belongs to; the one whose code runs, if not given. */
  readonly parent?: Parent;
  readonly metadata?: Json;
}

/** What the kernel offers to code that does not import it (src/plot/display.ts, cells), by registered symbols. */
export interface KernelHooks {
  /** Shows a value in the running cell; with the same id again, in its place. */
  readonly display: (value: unknown, options?: DisplayOptions) => void;
  readonly clearOutput: (options?: { wait?: boolean }) => void;
  /** Asks the person at the front end for a line of text. */
  readonly input: (prompt?: string, options?: { password?: boolean }) => Promise<string>;
  readonly comms: CommRegistry;
}

export function installHooks(hooks: KernelHooks): void {
  const global = globalThis as Record<symbol, unknown>;
  global[Symbol.for('patchwise.display')] = hooks.display;
  global[Symbol.for('patchwise.clearOutput')] = hooks.clearOutput;
  global[Symbol.for('patchwise.input')] = hooks.input;
  global[Symbol.for('patchwise.comms')] = hooks.comms;
  console.clear = () => hooks.clearOutput();
}
