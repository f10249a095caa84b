/** The displays of a kernel: how a value becomes a MIME bundle, which cell a display belongs to, and which it replaces. */

import { inspect, types } from 'node:util';
import {
  type MimeBundle,
  SHOWS_ITSELF,
  SHOWS_LIVE,
  type DisplayOptions as ShownOptions,
} from '../../src/display-protocol';
import { attempt } from '../../src/errors';
import type { Output, Parent, Publish } from '../protocol/output';
import type { Json } from '../protocol/wire';
import type { Gathered } from './gathered';
import { read } from './odd-values';
import { tabularBundle } from './tabular';

/** How values are shown; the library is asked through these, so that the kernel need not load it. */
export interface Presentation {
  /** How values of the library show themselves; undefined for a value that is none of its own. */
  readonly present: (value: unknown) => MimeBundle | undefined;
  /** Shows a value that keeps moving (a run) by a display of its own; undefined for a value that does not move. */
  readonly showLive: (value: unknown, options: DisplayOptions) => Promise<void> | undefined;
}

export interface DisplayOptions extends ShownOptions {
  /** Replace every display of this name, in whichever cell it is, instead of showing a new one. */
  readonly update?: boolean;
  /** The cell it belongs to; the one whose code runs, if not given. */
  readonly parent?: Parent;
  readonly metadata?: Json;
}

const REMEMBERED_CELLS = 1000;

export class Displays {
  /** For each cell execution, the names it has shown: a cell that runs again shows them again. */
  readonly #shown = new Map<string, Set<string>>();
  readonly #pending = new Set<Promise<void>>();

  constructor(
    private readonly presentation: Presentation,
    private readonly output: Output,
    private readonly publish: Publish,
    private readonly currentParent: () => Parent,
    /** Takes the place of the cell for code whose outputs are gathered. */
    private readonly gathered: () => Gathered | undefined,
  ) {}

  /** Shows a ready bundle, in the cell whose code runs if the options name none. */
  show(data: MimeBundle, { id, update, metadata = {}, parent }: DisplayOptions = {}): void {
    const gathered = this.gathered();
    if (gathered) {
      gathered.show(data, id, metadata);
      return;
    }
    const cell = parent ?? this.currentParent();
    const content = { data, metadata, transient: id === undefined ? {} : { display_id: id } };
    if (id !== undefined && (update ?? this.#isShown(id, cell))) {
      this.output.update(id, content, cell);
      return;
    }
    if (id !== undefined) this.#remember(id, cell);
    this.output.flush();
    this.publish('display_data', content, cell);
  }

  /** Shows any value. */
  showValue(value: unknown, options: DisplayOptions = {}): void {
    const placed = { ...options, parent: options.parent ?? this.currentParent() };
    const live = this.#liveDisplay(value, placed);
    const bundle = live ? undefined : this.bundle(value);
    if (live) this.#expect(live);
    else if (bundle instanceof Promise) this.#expect(bundle.then((ready) => this.show(ready, placed)));
    else if (bundle) this.show(bundle, placed);
  }

  /** Shows the last value of a cell if it is one that moves; false for all others. */
  async showLive(value: unknown): Promise<boolean> {
    const shown = this.#liveDisplay(value, {});
    await shown;
    return shown !== undefined;
  }

  /**
   * The bundle of any value: its own, the library's, or its text. A promise only where its own method returns one. A value
   * that throws when it is looked at, as a proxy may, is shown as its text.
   * @throws what the value's own method throws
   */
  bundle(value: unknown): MimeBundle | Promise<MimeBundle> {
    const present = () => this.presentation.present(value);
    const others = (): MimeBundle | undefined =>
      (types.isProxy(value) ? attempt(present) : present()) ?? tabularBundle(value);
    const own = callOwnMethod(value);
    if (own instanceof Promise) return own.then((bundle: unknown) => withText(bundle ?? others(), value));
    return withText(own ?? others(), value);
  }

  /**
   * Resolves once every display that takes a moment to make is shown: a cell does not end before. Each is waited for
   * once: one that is never ready holds up its own cell, until that is interrupted, and no other.
   */
  async settled(): Promise<void> {
    const expected = this.gathered()?.pending ?? this.#pending;
    while (expected.size > 0) {
      const pending = [...expected];
      expected.clear();
      await Promise.allSettled(pending);
    }
  }

  clear(wait: boolean): void {
    const gathered = this.gathered();
    if (gathered) {
      gathered.clear();
      return;
    }
    this.output.flush();
    this.publish('clear_output', { wait }, this.currentParent());
  }

  /** A display that the value makes and replaces by itself. What is gathered is drawn once: a run is a still there. */
  #liveDisplay(value: unknown, options: DisplayOptions): Promise<void> | undefined {
    const method = callable(value, SHOWS_LIVE);
    if (method) return method.call(value, options) as Promise<void>;
    return this.gathered() ? undefined : this.presentation.showLive(value, options);
  }

  #expect(shown: Promise<void>): void {
    const expected = this.gathered()?.pending ?? this.#pending;
    expected.add(shown);
    void shown.finally(() => expected.delete(shown));
  }

  #isShown(id: string, cell: Parent): boolean {
    return this.#shown.get(cell.msg_id ?? '')?.has(id) ?? false;
  }

  #remember(id: string, { msg_id = '' }: Parent): void {
    this.#shown.set(msg_id, (this.#shown.get(msg_id) ?? new Set()).add(id));
    // A display under a forgotten name is a new one.
    if (this.#shown.size > REMEMBERED_CELLS) this.#shown.delete(this.#shown.keys().next().value!);
  }
}

function callOwnMethod(value: unknown): unknown {
  return callable(value, SHOWS_ITSELF)?.call(value);
}

/** A method of a value, which may be anything. */
function callable(value: unknown, name: symbol): ((...given: unknown[]) => unknown) | undefined {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return undefined;
  const method = read(value, name);
  return typeof method === 'function' ? (method as (...given: unknown[]) => unknown) : undefined;
}

function withText(bundle: unknown, value: unknown): MimeBundle {
  const shown = typeof bundle === 'object' && bundle !== null ? (bundle as MimeBundle) : {};
  return 'text/plain' in shown ? shown : { ...shown, 'text/plain': inspect(value) };
}
