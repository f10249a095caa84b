/** The model that a widget's module gets, as anywidget's front-end contract has it. */
import type { WidgetState } from '../../../src/controls/widget-bundle';

type Handler = (...given: unknown[]) => void;

/** Where the model's words go: to the kernel, if there is one. */
export interface WidgetPort {
  /** Values that the module has changed and saved. */
  update(values: WidgetState): void;
  custom(content: unknown, buffers: readonly ArrayBuffer[]): void;
}

export class WidgetModel {
  #state: Record<string, unknown>;
  readonly #unsaved = new Set<string>();
  readonly #handlers = new Map<string, Set<Handler>>();

  constructor(
    state: WidgetState,
    private readonly port: WidgetPort,
  ) {
    this.#state = { ...state };
  }

  /** All values, for whoever stores them. */
  get state(): WidgetState {
    return this.#state;
  }

  get(name: string): unknown {
    return this.#state[name];
  }

  set(name: string, value: unknown): void {
    this.#unsaved.add(name);
    this.#change({ [name]: value });
  }

  save_changes(): void {
    const values = Object.fromEntries([...this.#unsaved].map((name) => [name, this.#state[name]]));
    this.#unsaved.clear();
    if (Object.keys(values).length > 0) this.port.update(values);
  }

  /** @param event one, or several with spaces between */
  on(event: string, handler: Handler): void {
    for (const name of event.split(' ')) {
      const handlers = this.#handlers.get(name) ?? new Set();
      this.#handlers.set(name, handlers.add(handler));
    }
  }

  /** Without a handler all of the event, without an event all. */
  off(event?: string | null, handler?: Handler | null): void {
    const events = event ? event.split(' ') : [...this.#handlers.keys()];
    for (const name of events) {
      if (handler) this.#handlers.get(name)?.delete(handler);
      else this.#handlers.delete(name);
    }
  }

  /** @param _callbacks of no use here; the contract has them */
  send(
    content: unknown,
    _callbacks?: unknown,
    buffers: readonly (ArrayBuffer | ArrayBufferView)[] = [],
  ): void {
    this.port.custom(content, buffers.map(copyOf));
  }

  /** For the host: values that came from elsewhere. */
  receive(values: WidgetState): void {
    for (const name of Object.keys(values)) this.#unsaved.delete(name);
    this.#change(values);
  }

  /** For the host: something that the cell has sent. */
  hear(content: unknown, buffers: readonly ArrayBuffer[]): void {
    this.#emit(
      'msg:custom',
      content,
      buffers.map((buffer) => new DataView(buffer)),
    );
  }

  #change(values: WidgetState): void {
    const changed = Object.keys(values).filter((name) => !Object.is(values[name], this.#state[name]));
    this.#state = { ...this.#state, ...values };
    for (const name of changed) this.#emit(`change:${name}`, this, this.#state[name]);
    if (changed.length > 0) this.#emit('change', this);
  }

  /** A handler that throws leaves the others alone. */
  #emit(event: string, ...given: unknown[]): void {
    for (const handler of [...(this.#handlers.get(event) ?? [])]) {
      try {
        handler(...given);
      } catch (error) {
        console.error(error);
      }
    }
  }
}

function copyOf(bytes: ArrayBuffer | ArrayBufferView): ArrayBuffer {
  if (bytes instanceof ArrayBuffer) return bytes;
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}
