/** Values as MIME bundles, and the display hooks through which code in cells reaches its kernel. */
import { inspect, types } from 'node:util';
import {
  type CellHooks,
  installCellHooks,
  type MimeBundle,
  SHOWS_ITSELF,
  type DisplayOptions as ShownOptions,
} from '../../src/display-protocol';
import type { CommRegistry } from '../protocol/comms';
import type { Parent } from '../protocol/output';
import type { Json } from '../protocol/wire';
import { attempt, read } from './odd-values';
import { tabularBundle } from './tabular';

/** How values of the library show themselves; undefined for a value that is none of its own. */
export type Present = (value: unknown) => MimeBundle | undefined;

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

export interface DisplayOptions extends ShownOptions {
  /** Replace every display of this name, in whichever cell it is, instead of showing a new one. */
  readonly update?: boolean;
  /** The cell it belongs to; the one whose code runs, if not given. */
  readonly parent?: Parent;
  readonly metadata?: Json;
}

/** What the kernel offers to the code of its cells. */
interface KernelHooks extends CellHooks {
  readonly comms: CommRegistry;
}

export function installHooks(hooks: KernelHooks): void {
  installCellHooks(hooks);
  console.clear = () => hooks.clearOutput();
}
