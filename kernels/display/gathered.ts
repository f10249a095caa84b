/** What code prints, shows and throws, gathered as outputs instead of sent to the running cell. */

import type { AnswerOutput } from '../../src/controls/interact-bundle';
import type { MimeBundle } from '../../src/display-protocol';
import type { StreamName } from '../protocol/output';
import type { Json } from '../protocol/wire';

/** Characters of printed text. A page draws the outputs at every answer. */
const MOST_TEXT = 100_000;

export class Gathered {
  /** Displays that take a moment to make. */
  readonly pending = new Set<Promise<void>>();
  readonly #names = new Map<string, number>();
  readonly #releases: (() => void)[] = [];
  #outputs: AnswerOutput[] = [];
  #characters = 0;
  #isOpen = true;

  /** False once `close` was called: what comes later belongs elsewhere. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  write(name: StreamName, text: string): void {
    const room = MOST_TEXT - this.#characters;
    if (room <= 0) return;
    this.#characters += text.length;
    const kept = text.length > room ? `${text.slice(0, room)}\n… the rest is left out\n` : text;
    const last = this.#outputs.at(-1);
    if (last?.output_type === 'stream' && last.name === name)
      this.#outputs[this.#outputs.length - 1] = { ...last, text: last.text + kept };
    else this.#outputs.push({ output_type: 'stream', name, text: kept });
  }

  /**
   * @param id a later display of the same id replaces this one
   * @throws TypeError for what is no JSON: nobody could be sent the outputs
   */
  show(data: MimeBundle, id?: string, metadata: Json = {}): void {
    JSON.stringify([data, metadata]);
    const output = { output_type: 'display_data', data, metadata } as const;
    const at = id === undefined ? undefined : this.#names.get(id);
    if (at !== undefined) this.#outputs[at] = output;
    else {
      if (id !== undefined) this.#names.set(id, this.#outputs.length);
      this.#outputs.push(output);
    }
  }

  fail({ ename, evalue, traceback }: Omit<AnswerOutput & { output_type: 'error' }, 'output_type'>): void {
    this.#outputs.push({ output_type: 'error', ename, evalue, traceback });
  }

  clear(): void {
    this.#outputs = [];
    this.#names.clear();
    this.#characters = 0;
  }

  /** Ends it: what comes later belongs elsewhere. */
  close(): this {
    this.#isOpen = false;
    return this;
  }

  get outputs(): readonly AnswerOutput[] {
    return this.#outputs;
  }

  /** @param work called once, when the outputs are shown nowhere any more */
  onRelease(work: () => void): void {
    this.#releases.push(work);
  }

  /** The outputs are shown nowhere any more. */
  release(): void {
    for (const work of this.#releases.splice(0)) work();
  }
}
