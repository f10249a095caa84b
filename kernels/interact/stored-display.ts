/** A display that stands in the notebook and is replaced as what it shows changes, so that the saved notebook has the last. */
import type { AsyncResource } from 'node:async_hooks';
import type { MimeBundle } from '../../src/display-protocol';
import type { DisplayOptions } from '../display/displays';

export interface DisplayOutlet {
  display(bundle: MimeBundle, options: DisplayOptions): void;
  /**
   * Calls `work` once what is shown now is shown nowhere any more. An answer of controls is shown until the second one
   * after it. What a cell shows is never let go.
   */
  onRelease(work: () => void): void;
}

/** Between two replacements. */
const STORE_MS = 1000;

export class StoredDisplay {
  readonly #ids = new Set<string>();
  /** Places that show it. */
  #places = 0;
  #onSeen = (): void => {};
  #onUnseen = (): void => {};
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param name of its own
   * @param bundle what it shows now
   * @param outside made outside of every cell: replacements belong to none
   */
  constructor(
    private readonly name: string,
    private readonly bundle: () => MimeBundle,
    private readonly outlet: DisplayOutlet,
    private readonly outside: AsyncResource,
  ) {}

  /** `seen` is called when a first place shows it, `unseen` once no place shows it any more, each as often as that is. */
  onSight(seen: () => void, unseen: () => void): void {
    this.#onSeen = seen;
    this.#onUnseen = unseen;
  }

  /** Shows it in the running cell, or in the answer that is made. */
  show({ id = this.name }: { readonly id?: string } = {}): void {
    this.#ids.add(id);
    if (this.#places++ === 0) this.#onSeen();
    this.outlet.onRelease(() => {
      if (--this.#places === 0) this.#onUnseen();
    });
    this.outlet.display(this.bundle(), { id, ...(id === this.name && { update: false }) });
  }

  /** Replaces it within a second. */
  replaceSoon(): void {
    this.#timer ??= setTimeout(() => this.replace(), STORE_MS).unref();
  }

  replace(): void {
    this.end();
    this.outside.runInAsyncScope(() => {
      for (const id of this.#ids) this.outlet.display(this.bundle(), { id, update: true });
    });
  }

  /** Leaves it as it is. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
