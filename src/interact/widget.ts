import { readFileSync } from 'node:fs';
import { COMMAND, COMMAND_RESPONSE, type CommandResponse, type WidgetState } from '../controls/widget-bundle';
import { cellHook, type DisplayOptions, SHOWS_LIVE, type ShownWidget } from '../display-protocol';
import { InvalidArgument, UnreadableFile } from '../errors';

export interface WidgetOptions<S> {
  /** The module: its source, or the path of a `.js` or `.mjs` file. */
  readonly esm: string;
  /** Its style: the source, or the path of a `.css` file. */
  readonly css?: string;
  /** Its values by name: JSON, typed arrays, and both within one another. */
  readonly state: S;
  /** Functions by name that the widget's code calls by `experimental.invoke(name, message, { buffers, signal })`. */
  readonly commands?: Readonly<Record<string, Command>>;
}

/** Gives the response and its bytes. Its error is that of the call. */
type Command = (message: unknown, buffers: readonly Uint8Array[]) => CommandResult | Promise<CommandResult>;
type CommandResult = readonly [response: unknown, buffers?: readonly Uint8Array[]];

type Change<S> = (changes: Partial<S>) => void;
type Receive = (content: unknown, buffers: readonly Uint8Array[]) => void;

/** A widget of your own. The last value of a cell, or an argument of `display`. */
export class Widget<S extends object> {
  #state: S;
  readonly #changes = new Set<Change<S>>();
  readonly #messages = new Set<Receive>();
  readonly #shown: ShownWidget | undefined;

  constructor({ esm, css = '', state, commands = {} }: WidgetOptions<S>) {
    checkState('state', state);
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
        const { kind, ...called } = (content ?? {}) as Partial<Called>;
        if (kind === COMMAND) return this.#respond(called, commands, buffers);
        for (const listener of [...this.#messages]) listener(content, buffers);
        return undefined;
      },
    });
  }

  /** A value as it is now. A typed array stays of its type when a page changes it. */
  get<K extends keyof S>(name: K): S[K] {
    return this.#state[name];
  }

  /**
   * Changes values here and on all pages. Give a new array rather than a changed one.
   * @throws InvalidArgument for a value that is neither JSON nor binary
   */
  set(values: Partial<S>): void {
    checkState('values', values);
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

  /** @throws what the command throws, for the cell; the page hears its words */
  async #respond(
    { id, name = '', msg }: Omit<Partial<Called>, 'kind'>,
    commands: Readonly<Record<string, Command>>,
    buffers: readonly Uint8Array[],
  ): Promise<void> {
    const answer = { id, kind: COMMAND_RESPONSE } satisfies CommandResponse;
    try {
      const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
      if (!command) throw new InvalidArgument('invoke', 'the name of a command', name, Object.keys(commands));
      const [response, bytes] = await command(msg, buffers);
      this.send({ ...answer, response }, bytes);
    } catch (error) {
      this.send({ ...answer, error: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  }

  /** @param values of a page, where binary values are DataViews */
  #take(values: Partial<S>): void {
    const changes = Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, alike(value, this.#state[name as keyof S])]),
    ) as Partial<S>;
    this.#state = { ...this.#state, ...changes };
    for (const listener of [...this.#changes]) listener(changes);
  }
}

/** How a page calls a command. */
interface Called {
  readonly kind: string;
  readonly id: unknown;
  readonly name: string;
  readonly msg: unknown;
}

type TypedArrayClass = new (buffer: ArrayBufferLike) => ArrayBufferView;

/** @throws InvalidArgument if a page could not be told of it */
function checkState(argument: string, state: object): void {
  if (typeof state !== 'object' || state === null || Array.isArray(state))
    throw new InvalidArgument(argument, 'an object of values by name', state);
  const above = new Set<unknown>();
  const walk = (place: string, value: unknown): void => {
    const isOther = ['bigint', 'function', 'symbol'].includes(typeof value);
    if (isOther || value instanceof Map || value instanceof Set)
      throw new InvalidArgument(place, 'JSON, a typed array, or both within one another', value);
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || 'toJSON' in value) return;
    if (above.has(value))
      throw new InvalidArgument(place, 'a value that does not contain itself', value.constructor?.name);
    above.add(value);
    for (const [name, one] of Object.entries(value)) walk(`${place}.${name}`, one);
    above.delete(value);
  };
  walk(argument, state);
}

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
 * may return a function that cleans up, and get a `signal` that is aborted there. `model` has `get`, `set`, `save_changes`,
 * `on` and `off` for `change:NAME` and `msg:custom`, and `send(content, callbacks, buffers)`. `experimental.invoke` calls one of
 * `commands` and gives `[response, buffers]`. A typed array comes to the page as a DataView of its bytes. NaN comes as null.
 *
 * All pages share the values, also after a reload, as long as the kernel lives and the cell does not run again. The notebook
 * saves the last ones. JupyterLab runs the module only in notebooks that their reader trusts. A report draws it with the last values, in
 * a frame of its own, from which it reaches neither the rest of the page nor the network.
 *
 * @throws InvalidArgument if `esm` is neither a module nor the path of one, or a value is neither JSON nor binary
 * @throws UnreadableFile if a file cannot be read
 */
export function widget<S extends object>(options: WidgetOptions<S>): Widget<S> {
  const { esm: given, css: style = '' } = options;
  const isText = typeof given === 'string' && !/^https?:\/\//.test(given);
  const esm = isText ? sourceOf(given, /\.m?js$/) : '';
  if (!/\bexport\b/.test(esm))
    throw new InvalidArgument(
      'esm',
      'the source of a module with an export, or the path of a .js or .mjs file',
      given,
    );
  if (typeof style !== 'string') throw new InvalidArgument('css', 'a text', style);
  return new Widget({ ...options, esm, css: sourceOf(style, /\.css$/) });
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
