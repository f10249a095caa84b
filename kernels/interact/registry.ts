/**
 * The interactions and widgets of a kernel. Each lasts until its cell runs again. One that only answers of controls show
 * ends once none shows it any more, and begins again when a later answer does.
 */
import type { Comm } from '../protocol/comms';
import type { Json } from '../protocol/wire';
import type { StoredDisplay } from './stored-display';

/** What pages open by its id. */
interface Opened {
  readonly id: string;
  readonly display: StoredDisplay;
  open(comm: Comm): void;
  end(): void;
}

export class Registry {
  readonly #opened = new Map<string, { readonly one: Opened; readonly cellId: string | undefined }>();

  /** @param cellId the cell of the notebook that shows it, if the front end names it */
  add<T extends Opened>(one: T, cellId: string | undefined): T {
    const enter = (): void => void this.#opened.set(one.id, { one, cellId });
    enter();
    one.display.onSight(enter, () => this.#end(one));
    return one;
  }

  /** Serves a page that shows one. */
  open(comm: Comm, { id }: Json): void {
    const known = this.#opened.get(String(id));
    if (known) known.one.open(comm);
    else endPage(comm);
  }

  /** A cell begins: what it showed when it ran before ends. */
  endOf(cellId: string | undefined): void {
    if (cellId === undefined) return;
    for (const { one, cellId: own } of [...this.#opened.values()]) if (own === cellId) this.#end(one);
  }

  #end(one: Opened): void {
    this.#opened.delete(one.id);
    one.end();
  }
}

/** Tells a page that the kernel does not have what it shows. */
export function endPage(comm: Comm): void {
  comm.send({ type: 'gone' });
  comm.close();
}
