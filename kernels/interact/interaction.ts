/**
 * One interaction: its controls, their values and the last answer. However fast the values change, one answer is made at
 * a time, always for the newest values; the one before is aborted.
 */
import { AsyncResource } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ControlValues, takenValue } from '../../src/controls/controls';
import { type AnswerOutput, interactionBundle } from '../../src/controls/interact-bundle';
import type { Answered, DisplayOptions, MimeBundle, ShownControls } from '../../src/display-protocol';
import type { InteractNews } from '../browser/interact/messages';
import type { Comm } from '../protocol/comms';
import type { Json } from '../protocol/wire';
import { endPage } from './registry';
import { type DisplayOutlet, StoredDisplay } from './stored-display';

/** The outputs of an answer, and what is held for them until they are shown nowhere any more. */
interface GatheredAnswer {
  readonly outputs: readonly AnswerOutput[];
  release(): void;
}

/** What interactions need of the kernel. */
export interface InteractOutlet extends DisplayOutlet {
  /** Runs code beside all cells, and gives its outputs or its error. */
  gather(work: () => unknown): Promise<GatheredAnswer>;
}

/** A page that shows the interaction, and what it knows. */
interface Page {
  readonly comm: Comm;
  seen: number;
  told: number;
}

/** Moves that come together are read before an answer begins. */
const GATHER_MS = 5;
/** If the first answer takes longer, the controls are shown without it. */
const SHOW_MS = 300;

export class Interaction implements ShownControls {
  readonly id = randomUUID();
  readonly display: StoredDisplay;
  /** Answers run as part of the cell that made the interaction, so what they leave running prints there. */
  readonly #cell = new AsyncResource('patchwise.interact');
  readonly #pages = new Set<Page>();
  #values: ControlValues;
  #shown: GatheredAnswer = { outputs: [], release: () => {} };
  /** Pages show it until they have the one that followed it. */
  #before: GatheredAnswer | undefined;
  #answer = 0;
  #answering: Promise<void> | undefined;
  /** The values have changed since the last answer began. */
  #isStale = true;
  #hasEnded = false;
  /** Of the answer that is made now. */
  #abort: AbortController | undefined;

  constructor(
    private readonly given: Answered,
    private readonly outlet: InteractOutlet,
    outside: AsyncResource,
  ) {
    this.#values = given.start;
    this.display = new StoredDisplay(`patchwise-interact-${this.id}`, () => this.#bundle(), outlet, outside);
  }

  get values(): ControlValues {
    return this.#values;
  }

  /** Shows it in the running cell. Resolves once there is an answer. */
  async show(options: DisplayOptions = {}): Promise<void> {
    if (this.#hasEnded) [this.#hasEnded, this.#isStale] = [false, true]; // an answer of other controls shows it again
    const answering = this.#isStale ? this.#makeAnswers() : this.#answering;
    await Promise.race([answering, sleep(SHOW_MS)]);
    const shown = this.#answer;
    this.display.show(options);
    await answering;
    if (shown !== this.#answer) this.display.replace();
  }

  /** Serves one page. */
  open(comm: Comm): void {
    const page: Page = { comm, seen: 0, told: 0 };
    this.#pages.add(page);
    comm.onClose(() => this.#pages.delete(page));
    comm.onMessage(({ data }) => this.#hear(page, data));
    this.#tell(page);
  }

  /** Stops: its cell runs again, or nothing shows it any more. */
  end(): void {
    this.#hasEnded = true;
    this.#abort?.abort();
    this.display.end();
    for (const { comm } of this.#pages) endPage(comm);
    this.#pages.clear();
    this.#before?.release();
    this.#shown.release();
  }

  #hear(page: Page, data: Json): void {
    if (data.type !== 'set' && data.type !== 'press') return;
    page.seen++;
    const asked = data.type === 'set' ? data.values : this.#pressed(String(data.name));
    if (typeof asked === 'object' && asked !== null && this.#take(asked as Json)) {
      this.#isStale = true;
      this.#abort?.abort();
      void this.#makeAnswers();
    }
    for (const other of this.#pages) this.#tell(other);
  }

  #pressed(name: string): Json {
    const isButton = this.given.controls.some(
      (control) => control.kind === 'button' && control.name === name,
    );
    return isButton ? { [name]: Number(this.#values[name]) + 1 } : {};
  }

  /** Takes those values that the controls can have. @returns whether any has changed */
  #take(asked: Json): boolean {
    const before = this.#values;
    for (const control of this.given.controls) {
      const value = Object.hasOwn(asked, control.name) ? takenValue(control, asked[control.name]) : undefined;
      if (value !== undefined && value !== this.#values[control.name])
        this.#values = { ...this.#values, [control.name]: value };
    }
    return this.#values !== before;
  }

  /** Resolves once the newest values are answered. */
  #makeAnswers(): Promise<void> {
    this.#answering ??= this.#cell.runInAsyncScope(async () => {
      while (this.#isStale && !this.#hasEnded) await this.#makeAnswer();
      this.#answering = undefined;
    });
    return this.#answering;
  }

  async #makeAnswer(): Promise<void> {
    await sleep(GATHER_MS);
    this.#isStale = false;
    const abort = new AbortController();
    const values = this.#values;
    this.#abort = abort;
    const { answer } = this.given;
    const gathered = await this.outlet.gather(() => answer(values, { signal: abort.signal }));
    const { outputs } = gathered;
    this.#abort = undefined;
    const hasFailed = outputs.some(({ output_type }) => output_type === 'error');
    if (hasFailed) abort.abort(); // what it left running, if an interrupt ended it
    // A late answer is still shown, so that the picture moves while a slider does; but an aborted one may be nothing.
    if (this.#hasEnded || (this.#isStale && (hasFailed || outputs.length === 0))) {
      gathered.release();
      return;
    }
    this.#before?.release();
    [this.#before, this.#shown] = [this.#shown, gathered];
    this.#answer++;
    for (const page of this.#pages) this.#tell(page);
    this.display.replaceSoon();
  }

  #tell(page: Page): void {
    if (page.comm.isSilent) {
      this.#pages.delete(page);
      page.comm.close();
      return;
    }
    const isNew = page.told !== this.#answer;
    page.told = this.#answer;
    const news: InteractNews = {
      type: 'state',
      values: this.#values,
      running: this.#isStale || this.#abort !== undefined,
      seen: page.seen,
      answer: this.#answer,
      ...(isNew && { outputs: this.#shown.outputs }),
    };
    page.comm.send(news as unknown as Json);
  }

  #bundle(): MimeBundle {
    const { id, given } = this;
    return interactionBundle({
      id,
      controls: given.controls,
      values: this.#values,
      answer: this.#answer,
      outputs: this.#shown.outputs,
    });
  }
}
