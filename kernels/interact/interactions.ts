/** The interactions of a kernel, each for as long as its cell does not run again. */
import type { AsyncResource } from 'node:async_hooks';
import type { Answered, ShownControls } from '../../src/display-protocol';
import type { Comm } from '../protocol/comms';
import type { Json } from '../protocol/wire';
import { Interaction, type InteractOutlet } from './interaction';

interface Outlet extends InteractOutlet {
  /** The cell of the notebook whose code runs, if the front end names it. */
  readonly cellId: string | undefined;
}

export class Interactions {
  readonly #byId = new Map<string, Interaction>();
  readonly #byCell = new Map<string, Interaction[]>();

  constructor(
    private readonly outlet: Outlet,
    private readonly outside: AsyncResource,
  ) {}

  /** For the running cell. */
  add(given: Answered): ShownControls {
    const interaction = new Interaction(given, this.outlet, this.outside);
    this.#byId.set(interaction.id, interaction);
    const { cellId } = this.outlet;
    if (cellId !== undefined) this.#byCell.set(cellId, [...(this.#byCell.get(cellId) ?? []), interaction]);
    return interaction;
  }

  /** Serves a page that shows one. */
  open(comm: Comm, { id }: Json): void {
    const interaction = this.#byId.get(String(id));
    if (interaction) interaction.open(comm);
    else {
      comm.send({ type: 'gone' });
      comm.close();
    }
  }

  /** A cell begins: what it showed when it ran before ends. */
  endOf(cellId: string | undefined): void {
    for (const interaction of this.#byCell.get(cellId ?? '') ?? []) {
      interaction.end();
      this.#byId.delete(interaction.id);
    }
    this.#byCell.delete(cellId ?? '');
  }
}
