/** The interactions and widgets of a kernel, each for as long as its cell does not run again. */
import type { Comm } from '../protocol/comms';
import type { Json } from '../protocol/wire';

/** What pages open by its id. */
interface Opened {
  readonly id: string;
  open(comm: Comm): void;
  end(): void;
}

export class Registry {
  readonly #byId = new Map<string, Opened>();
  readonly #byCell = new Map<string, Opened[]>();

  /** @param cellId the cell of the notebook that shows it, if the front end names it */
  add<T extends Opened>(one: T, cellId: string | undefined): T {
    this.#byId.set(one.id, one);
    if (cellId !== undefined) this.#byCell.set(cellId, [...(this.#byCell.get(cellId) ?? []), one]);
    return one;
  }

  /** Serves a page that shows one. */
  open(comm: Comm, { id }: Json): void {
    const one = this.#byId.get(String(id));
    if (one) one.open(comm);
    else endPage(comm);
  }

  /** A cell begins: what it showed when it ran before ends. */
  endOf(cellId: string | undefined): void {
    for (const one of this.#byCell.get(cellId ?? '') ?? []) {
      one.end();
      this.#byId.delete(one.id);
    }
    this.#byCell.delete(cellId ?? '');
  }
}

/** Tells a page that the kernel does not have what it shows. */
export function endPage(comm: Comm): void {
  comm.send({ type: 'gone' });
  comm.close();
}
