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
import type { WidgetPort } from './model';
import { WidgetModule } from './module';

const links = new Map<string, WidgetLink>();

/** The widget that outputs with this id share; `leave` gives it back. */
export function joinWidget(stored: StoredWidget, session: JupyterSession | undefined): WidgetLink {
  const link = links.get(stored.id) ?? new WidgetLink(stored, session);
  links.set(stored.id, link);
  link.users++;
  return link;
}

interface Unsent {
  readonly values: Record<string, unknown>;
  readonly messages: Parameters<WidgetPort['custom']>[];
}

export class WidgetLink {
  users = 0;
  readonly module: WidgetModule;
  readonly #link: KernelLink | undefined;
  /** What the module said before the kernel was there to hear it: a module may speak as soon as it is loaded. */
  #unsent: Unsent = { values: {}, messages: [] };
  /** No kernel knows the widget, which goes on by itself. */
  #isAlone: boolean;
  readonly #listeners = new Set<() => void>();

  constructor(
    private readonly stored: StoredWidget,
    session: JupyterSession | undefined,
  ) {
    this.module = new WidgetModule(stored, {
      update: (values) => this.#update(values),
      custom: (content, buffers) => this.#send(content, buffers),
    });
    const receive = (data: KernelData, buffers: readonly ArrayBuffer[], isFirst: boolean): void =>
      this.#receive(data as unknown as WidgetMessage, buffers, isFirst);
    this.#link = session && new KernelLink(session, 'patchwise.widget', { id: stored.id }, receive);
    this.#isAlone = !session;
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
    const copies = buffers.map((bytes) => bytes.slice().buffer);
    if (!this.#link?.send(update, copies)) Object.assign(this.#unsent.values, values);
    for (const listener of this.#listeners) listener();
  }

  #send(content: unknown, buffers: readonly ArrayBuffer[]): void {
    if (this.#link?.send({ type: 'custom', content }, buffers) || this.#isAlone) return;
    this.#unsent.messages.push([content, buffers]);
  }

  #receive(message: WidgetMessage, buffers: readonly ArrayBuffer[], isFirst: boolean): void {
    const { model } = this.module;
    if (message.type === 'custom') model.hear(message.content, buffers);
    else if (message.type === 'update') {
      const values = attachBuffers(message.state, message.buffer_paths, buffers);
      // The module's own values are newer than what the kernel tells a page that has just come.
      model.receive({ ...values, ...(isFirst && this.#unsent.values) });
      for (const listener of this.#listeners) listener();
    } else {
      this.#link?.close();
      this.#isAlone = true;
    }
    if (isFirst) this.#sendUnsent();
  }

  #sendUnsent(): void {
    const { values, messages } = this.#unsent;
    this.#unsent = { values: {}, messages: [] };
    if (Object.keys(values).length > 0) this.#update(values);
    for (const message of messages) this.#send(...message);
  }
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192)
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}
