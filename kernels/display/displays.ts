/** The displays of a kernel: which cell each belongs to, and which it replaces. */
import type { MimeBundle } from '../../src/display-protocol';
import type { Output, Parent, Publish } from '../protocol/output';
import { type DisplayOptions, type Present, toMimeBundle } from './bundle';

/** How values are shown; the library is asked through these, so that the kernel need not load it. */
export interface Presentation {
  readonly present?: Present;
  /** Shows a value that keeps moving (a run) by a display of its own; undefined for a value that does not move. */
  readonly showLive?: (value: unknown, options: DisplayOptions) => Promise<void> | undefined;
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
  ) {}

  /** Shows a ready bundle, in the cell whose code runs if the options name none. */
  show(data: MimeBundle, { id, update, metadata = {}, parent }: DisplayOptions = {}): void {
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
    const live = this.presentation.showLive?.(value, placed);
    const bundle = live ? undefined : this.bundle(value);
    if (live) this.#expect(live);
    else if (bundle instanceof Promise) this.#expect(bundle.then((ready) => this.show(ready, placed)));
    else if (bundle) this.show(bundle, placed);
  }

  /** Shows the last value of a cell if it is one that moves; false for all others. */
  async showLive(value: unknown): Promise<boolean> {
    const shown = this.presentation.showLive?.(value, {});
    await shown;
    return shown !== undefined;
  }

  bundle(value: unknown): MimeBundle | Promise<MimeBundle> {
    return toMimeBundle(value, this.presentation.present ?? (() => undefined));
  }

  /**
   * Resolves once every display that takes a moment to make is shown: a cell does not end before. Each is waited for
   * once: one that is never ready holds up its own cell, until that is interrupted, and no other.
   */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) {
      const pending = [...this.#pending];
      this.#pending.clear();
      await Promise.allSettled(pending);
    }
  }

  clear(wait: boolean): void {
    this.output.flush();
    this.publish('clear_output', { wait }, this.currentParent());
  }

  #expect(shown: Promise<void>): void {
    this.#pending.add(shown);
    void shown.finally(() => this.#pending.delete(shown));
  }

  #isShown(id: string, cell: Parent): boolean {
    return this.#shown.get(cell.msg_id ?? '')?.has(id) ?? false;
  }

  #remember(id: string, cell: Parent): void {
    const execution = cell.msg_id ?? '';
    const ids = this.#shown.get(execution) ?? new Set();
    this.#shown.set(execution, ids.add(id));
    // A display under a forgotten name is a new one.
    if (this.#shown.size > REMEMBERED_CELLS) this.#shown.delete(this.#shown.keys().next().value!);
  }
}
