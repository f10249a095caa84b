/** One widget of a user's own: what its cell and its pages tell one another. */
import { AsyncResource } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import {
  attachBuffers,
  type BufferPath,
  detachBuffers,
  type StoredWidget,
  WIDGET_MIME,
  type WidgetState,
} from '../../src/controls/widget-bundle';
import type { DisplayOptions, MimeBundle, SharedWidget, ShownWidget } from '../../src/display-protocol';
import type { WidgetMessage } from '../browser/widget/messages';
import type { Comm } from '../protocol/comms';
import type { Json } from '../protocol/wire';
import { endPage } from './registry';
import { type DisplayOutlet, StoredDisplay } from './stored-display';

export interface WidgetOutlet extends DisplayOutlet {
  /** Runs code beside all cells. Its errors are reported, and an interrupt ends it. */
  runBeside(work: () => unknown): Promise<void>;
}

export class KernelWidget implements ShownWidget {
  readonly id = randomUUID();
  readonly display: StoredDisplay;
  /** Listeners run as part of the cell that made the widget, so they print there. */
  readonly #cell = new AsyncResource('patchwise.widget');
  readonly #pages = new Set<Comm>();

  constructor(
    private readonly shared: SharedWidget,
    private readonly outlet: WidgetOutlet,
    outside: AsyncResource,
  ) {
    this.display = new StoredDisplay(`patchwise-widget-${this.id}`, () => this.#bundle(), outlet, outside);
  }

  async show(options: DisplayOptions = {}): Promise<void> {
    this.display.show(options);
  }

  update(values: WidgetState): void {
    for (const page of this.#pages) this.#tell(page, values);
    this.display.replaceSoon();
  }

  send(content: unknown, buffers: readonly Uint8Array[]): void {
    for (const page of this.#pages) this.#post(page, { type: 'custom', content }, buffers);
  }

  open(comm: Comm): void {
    this.#pages.add(comm);
    comm.onClose(() => this.#pages.delete(comm));
    comm.onMessage(({ data, buffers }) => {
      void this.#cell.runInAsyncScope(() => this.outlet.runBeside(() => this.#hear(comm, data, buffers)));
    });
    this.#tell(comm, this.shared.state);
  }

  end(): void {
    this.display.end();
    for (const page of this.#pages) endPage(page);
    this.#pages.clear();
  }

  /** May take a while, for the answer to a command. */
  #hear(from: Comm, data: Json, buffers: readonly Uint8Array[]): void | Promise<void> {
    if (data.type === 'custom') return this.shared.receive(data.content, buffers);
    if (data.type === 'update' && typeof data.state === 'object' && data.state !== null)
      this.#take(from, data, data.state, buffers);
    return undefined;
  }

  #take(from: Comm, data: Json, state: object, buffers: readonly Uint8Array[]): void {
    const paths = Array.isArray(data.buffer_paths) ? (data.buffer_paths as BufferPath[]) : [];
    const known = Object.entries(state).filter(([name]) => Object.hasOwn(this.shared.state, name));
    const values = attachBuffers(Object.fromEntries(known), paths, buffers);
    // The other pages first: a listener may change the value once more.
    for (const page of this.#pages) if (page !== from) this.#tell(page, values);
    this.display.replaceSoon();
    this.shared.change(values);
  }

  #tell(page: Comm, values: WidgetState): void {
    const { state, paths, buffers } = detachBuffers(values);
    this.#post(page, { type: 'update', state, buffer_paths: paths }, buffers);
  }

  #post(page: Comm, message: WidgetMessage, buffers: readonly Uint8Array[]): void {
    if (page.isSilent) {
      this.#pages.delete(page);
      page.close();
    } else page.send(message as unknown as Json, buffers);
  }

  #bundle(): MimeBundle {
    const { esm, css } = this.shared;
    const { state, paths, buffers } = detachBuffers(this.shared.state);
    const stored: StoredWidget = {
      id: this.id,
      esm,
      css,
      state,
      buffers: buffers.map((bytes, at) => ({
        path: paths[at]!,
        data: Buffer.from(bytes).toString('base64'),
      })),
    };
    return {
      [WIDGET_MIME]: stored,
      'text/plain': `a widget with ${Object.keys(state).join(', ') || 'no values'}`,
    };
  }
}
