/** A widget's module on a page: loaded and initialised once, rendered into each place that shows it. */
import { attachBuffers, type StoredWidget, type WidgetState } from '../../../src/controls/widget-bundle';
import { invoke } from './invoke';
import { WidgetModel, type WidgetPort } from './model';

type CleanUp = () => unknown;
type Part = (given: object) => unknown;
type Command = Parameters<typeof invoke> extends [unknown, ...infer Rest] ? Rest : never;
interface Definition {
  readonly initialize?: Part;
  readonly render?: Part;
}

export class WidgetModule {
  readonly model: WidgetModel;
  readonly #ready: Promise<Definition>;
  readonly #end = new AbortController();
  #cleanUp: unknown;
  #isOver = false;

  constructor(
    private readonly stored: StoredWidget,
    port: WidgetPort,
  ) {
    this.model = new WidgetModel(stateOf(stored), port);
    this.#ready = this.#load();
    this.#ready.catch(() => {}); // told by every `render`
  }

  /** Draws it into an element. @returns what ends the drawing */
  async render(element: HTMLElement): Promise<CleanUp> {
    const style = document.createElement('style');
    style.textContent = this.stored.css;
    const place = document.createElement('div');
    element.replaceChildren(style, place);
    const { render } = await this.#ready;
    const end = new AbortController();
    const cleanUp = await render?.(this.#given({ el: place, signal: end.signal }));
    return () => {
      end.abort();
      call(cleanUp);
      element.replaceChildren();
    };
  }

  end(): void {
    this.#isOver = true;
    this.#end.abort();
    call(this.#cleanUp);
    this.model.off();
  }

  /** What the module's functions get. `signal` is aborted where they clean up. */
  #given(own: object): object {
    const { model } = this;
    const command = (...given: Command): Promise<unknown> => invoke(model, ...given);
    return { model, ...own, experimental: { invoke: command } };
  }

  async #load(): Promise<Definition> {
    const address = URL.createObjectURL(new Blob([this.stored.esm], { type: 'text/javascript' }));
    try {
      const { default: given } = (await import(/* @vite-ignore */ address)) as { default?: unknown };
      const definition = (typeof given === 'function' ? await given() : given) as Definition | undefined;
      if (typeof definition !== 'object' || definition === null)
        throw new Error('the module has no default export of { initialize, render }');
      this.#cleanUp = await definition.initialize?.(this.#given({ signal: this.#end.signal }));
      if (this.#isOver) call(this.#cleanUp);
      return definition;
    } finally {
      URL.revokeObjectURL(address);
    }
  }
}

function call(cleanUp: unknown): void {
  if (typeof cleanUp !== 'function') return;
  try {
    cleanUp();
  } catch (error) {
    console.error(error);
  }
}

/** The values that a notebook stores. */
export function stateOf({ state, buffers }: StoredWidget): WidgetState {
  return attachBuffers(
    state,
    buffers.map(({ path }) => path),
    buffers.map(({ data }) => Uint8Array.from(atob(data), (character) => character.charCodeAt(0))),
  );
}

/** What is shown where a module fails. */
export function failure(error: unknown): string {
  return `This widget cannot be drawn: ${error instanceof Error ? error.message : error}`;
}
