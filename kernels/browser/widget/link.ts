/** A widget on this page with its way to the kernel, shared by all outputs that show it. */
import {
  attachBuffers,
  detachBuffers,
  type StoredWidget,
  type WidgetState,
} from '../../../src/controls/widget-bundle';
import type { JupyterSession } from '../jupyter';
import { type KernelData, KernelLink } from '../kernel-link';
import type { WidgetMessage, WidgetUpdate } from './messages';
import { WidgetModule } from './module';

const links = new Map<string, WidgetLink>();

/** The widget that outputs with this id share; `leave` gives it back. */
export function joinWidget(stored: StoredWidget, session: JupyterSession | undefined): WidgetLink {
  const link = links.get(stored.id) ?? new WidgetLink(stored, session);
  links.set(stored.id, link);
  link.users++;
  return link;
}

export class WidgetLink {
  users = 0;
  readonly module: WidgetModule;
  readonly #link: KernelLink | undefined;
  readonly #listeners = new Set<() => void>();

  constructor(
    private readonly stored: StoredWidget,
    session: JupyterSession | undefined,
  ) {
    this.module = new WidgetModule(stored, {
      update: (values) => this.#update(values),
      custom: (content, buffers) => this.#link?.send({ type: 'custom', content }, buffers),
    });
    const receive = (data: KernelData, buffers: readonly ArrayBuffer[]): void =>
      this.#receive(data as unknown as WidgetMessage, buffers);
    this.#link = session && new KernelLink(session, 'patchwise.widget', { id: stored.id }, receive);
  }

  /** `listener` hears that values have changed. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  leave(): void {
    if (--this.users > 0) return;
    links.delete(this.stored.id);
    this.#link?.close();
    this.module.end();
  }

  /** As the notebook stores it, with the present values. */
  store(): StoredWidget {
    const { state, paths, buffers } = detachBuffers(this.module.model.state);
    return {
      ...this.stored,
      state,
      buffers: buffers.map((bytes, at) => ({ path: paths[at]!, data: base64(bytes) })),
    };
  }

  #update(values: WidgetState): void {
    const { state, paths, buffers } = detachBuffers(values);
    const update: WidgetUpdate = { type: 'update', state, buffer_paths: paths };
    this.#link?.send(
      update,
      buffers.map((bytes) => bytes.slice().buffer),
    );
    for (const listener of this.#listeners) listener();
  }

  #receive(message: WidgetMessage, buffers: readonly ArrayBuffer[]): void {
    if (message.type === 'custom') this.module.model.hear(message.content, buffers);
    else if (message.type === 'update') {
      this.module.model.receive(attachBuffers(message.state, message.buffer_paths, buffers));
      for (const listener of this.#listeners) listener();
    } else this.#link?.close(); // it goes on alone
  }
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192)
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}
