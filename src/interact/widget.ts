import { readFileSync } from 'node:fs';
import type { WidgetState } from '../controls/widget-bundle';
import { cellHook, type DisplayOptions, SHOWS_LIVE, type ShownWidget } from '../display-protocol';
import { InvalidArgument, UnreadableFile } from '../errors';

export interface WidgetOptions<S> {
  /** The module: its source, or the path of a `.js` or `.mjs` file. */
  readonly esm: string;
  /** Its style: the source, or the path of a `.css` file. */
  readonly css?: string;
  /** Its values by name: JSON, typed arrays, and both within one another. */
  readonly state: S;
}

type Change<S> = (changes: Partial<S>) => void;
type Receive = (content: unknown, buffers: readonly Uint8Array[]) => void;

/** A widget of your own. The last value of a cell, or an argument of `display`. */
export class Widget<S extends object> {
  #state: S;
  readonly #changes = new Set<Change<S>>();
  readonly #messages = new Set<Receive>();
  readonly #shown: ShownWidget | undefined;

  constructor({ esm, css = '', state }: WidgetOptions<S>) {
    this.#state = { ...state };
    const own = this;
    this.#shown = cellHook('widget')?.({
      esm,
      css,
      get state() {
        return own.#state as WidgetState;
      },
      change: (values) => this.#take(values as Partial<S>),
      receive: (content, buffers) => {
        for (const listener of [...this.#messages]) listener(content, buffers);
      },
    });
  }

  /** A value as it is now. A typed array stays of its type when a page changes it. */
  get<K extends keyof S>(name: K): S[K] {
    return this.#state[name];
  }

  /** Changes values here and on all pages. Give a new array rather than a changed one. */
  set(values: Partial<S>): void {
    this.#state = { ...this.#state, ...values };
    this.#shown?.update(values as WidgetState);
  }

  /** Sends something to the widget's code, which hears it by `model.on('msg:custom', (content, buffers) => …)`. */
  send(content: unknown, buffers: readonly Uint8Array[] = []): void {
    this.#shown?.send(content, buffers);
  }

  /**
   * `change`: hears the values that a page has changed, after `get` gives the new ones. `message`: hears what the widget's
   * code sends by `model.send`. The function that it returns ends the listening.
   */
  on(event: 'change', listener: Change<S>): () => void;
  on(event: 'message', listener: Receive): () => void;
  on(event: 'change' | 'message', listener: Change<S> | Receive): () => void {
    const listeners: Set<Change<S> | Receive> = event === 'change' ? this.#changes : this.#messages;
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  async [SHOWS_LIVE](options: DisplayOptions): Promise<void> {
    await this.#shown?.show(options);
  }

  /** @param values of a page, where binary values are DataViews */
  #take(values: Partial<S>): void {
    const known = Object.entries(values).filter(([name]) => name in this.#state);
    const changes = Object.fromEntries(
      known.map(([name, value]) => [name, alike(value, this.#state[name as keyof S])]),
    ) as Partial<S>;
    this.#state = { ...this.#state, ...changes };
    for (const listener of [...this.#changes]) listener(changes);
  }
}

type TypedArrayClass = new (buffer: ArrayBufferLike) => ArrayBufferView;

/** Bytes as the kind of array that they replace, if their number allows it; else as Uint8Array. */
function alike(value: unknown, before: unknown): unknown {
  if (!(value instanceof DataView)) return value;
  const { buffer } = value;
  if (!ArrayBuffer.isView(before)) return new Uint8Array(buffer);
  const { BYTES_PER_ELEMENT: bytes = 1 } = before as unknown as { BYTES_PER_ELEMENT?: number };
  const isArray = !Buffer.isBuffer(before) && buffer.byteLength % bytes === 0;
  return isArray ? new (before.constructor as TypedArrayClass)(buffer) : new Uint8Array(buffer);
}

/**
 * A widget of your own in a cell: a front-end module as anywidget defines it, whose values a cell and the page share.
 *
 * ```ts
 * const counter = pw.widget({
 *   state: { count: 0 },
 *   esm: `export default {
 *     render({ model, el }) {
 *       const button = document.createElement('button');
 *       const show = () => { button.textContent = 'count: ' + model.get('count'); };
 *       button.onclick = () => { model.set('count', model.get('count') + 1); model.save_changes(); };
 *       model.on('change:count', show);
 *       show();
 *       el.append(button);
 *     },
 *   }`,
 * });
 * counter.on('change', ({ count }) => console.log(count));
 * counter
 * ```
 *
 * The module's default export is `{ initialize?({ model }), render?({ model, el }) }` or a function that returns it. Both
 * may return a function that cleans up. `model` has `get`, `set`, `save_changes`, `on` and `off` for `change:NAME` and
 * `msg:custom`, and `send(content, callbacks, buffers)`. A typed array comes to the page as a DataView of its bytes.
 *
 * All pages share the values, also after a reload, as long as the kernel lives and the cell does not run again. The notebook
 * saves the last ones. JupyterLab runs the module only in notebooks that their reader trusts. A report draws it with the last values, in
 * a frame of its own, from which it reaches neither the rest of the page nor the network.
 *
 * @throws InvalidArgument if `esm` is an address or empty
 * @throws UnreadableFile if a file cannot be read
 */
export function widget<S extends object>(options: WidgetOptions<S>): Widget<S> {
  const isAddress = /^https?:\/\//.test(options.esm);
  const esm = isAddress ? '' : sourceOf(options.esm, /\.m?js$/);
  if (esm.trim() === '')
    throw new InvalidArgument('esm', "a module's source or the path of a file", options.esm);
  return new Widget({ ...options, esm, css: sourceOf(options.css ?? '', /\.css$/) });
}

/** The text of a file, if the text given is its path, which is one line with the ending of such a file. */
function sourceOf(given: string, ending: RegExp): string {
  if (!ending.test(given) || given.includes('\n') || given.includes('{')) return given;
  try {
    return readFileSync(given, 'utf8');
  } catch (error) {
    throw new UnreadableFile(given, 'a file of text', (error as Error).message, { cause: error });
  }
}
