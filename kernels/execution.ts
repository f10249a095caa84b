/**
 * The execution queue: cells run one after another, in the order they came. If a cell fails and its request says
 * stop_on_error, the requests that were already waiting are aborted.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CellEngine, CellError } from './cells/engine';
import type { History } from './protocol/history';
import type { Json, Message } from './protocol/wire';

/** What the queue needs of the server around it, all for one request. */
export interface ExecutionOutlet {
  publish(type: string, content: Json, request: Message): void;
  reply(request: Message, content: Json): void;
  status(state: 'busy' | 'idle', request: Message): void;
  /** Sends what the cell has printed so far. */
  flush(): void;
  /**
   * Runs `work` so that all output it causes, now or later, belongs to `request`'s cell, and so that an interrupt ends it.
   */
  within<T>(request: Message, work: () => Promise<T>): Promise<T>;
  /** How a value is shown; runs code of its own, so only `within` a request. */
  bundle(value: unknown): Promise<Json>;
  /** Shows a live value, such as a run, by a display of its own; false for every other value. */
  showLive(value: unknown): Promise<boolean>;
}

/** While requests that a client sent in one go are still arriving, the gap between two is shorter than this. */
const ARRIVAL_GAP_MS = 5;

export class ExecutionQueue {
  readonly #waiting: Message[] = [];
  #busy = false;
  #running: Message | undefined;
  #count = 0;

  constructor(
    private readonly engine: CellEngine,
    private readonly history: History,
    private readonly outlet: ExecutionOutlet,
  ) {}

  /** The request whose cell runs now. */
  get running(): Message | undefined {
    return this.#running;
  }

  submit(request: Message): void {
    this.#waiting.push(request);
    if (!this.#busy) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#busy = true;
    for (let request = this.#waiting.shift(); request; request = this.#waiting.shift()) {
      this.#running = request;
      this.outlet.status('busy', request);
      const reply = await this.#outcome(request);
      const stops = reply.status === 'error' && request.content.stop_on_error !== false;
      // Before the answer: requests that a client sends once it knows of the failure are not aborted.
      const aborted = stops ? await this.#takeWaiting() : [];
      this.#answer(request, reply);
      this.#running = undefined;
      this.outlet.status('idle', request);
      for (const other of aborted) this.#abort(other);
    }
    this.#busy = false;
  }

  /** The reply to one request, not sent yet. Never rejects, so that the requests behind it get their turn. */
  async #outcome(request: Message): Promise<Json> {
    try {
      return await this.#run(request);
    } catch (error) {
      return this.#failed(request, this.engine.describe(error)); // a value whose own display method throws
    }
  }

  /** Sends the reply, or an error if a value in it is no JSON. */
  #answer(request: Message, reply: Json): void {
    try {
      this.outlet.reply(request, reply);
    } catch (error) {
      this.outlet.reply(request, this.#failed(request, this.engine.describe(error)));
    }
  }

  async #run(request: Message): Promise<Json> {
    const { code: given } = request.content;
    const code = typeof given === 'string' ? given : '';
    const silent = request.content.silent === true;
    const isStored = !silent && request.content.store_history !== false;
    if (isStored) this.history.add(++this.#count, code);
    if (!silent) this.outlet.publish('execute_input', { code, execution_count: this.#count }, request);
    // A cell that is not stored has no number of its own. The count stays at that of the cell before it.
    const cell = isStored ? this.#count : 0;
    const outcome = await this.outlet.within(request, () => this.engine.execute(code, cell));
    if (outcome.status === 'error') return this.#failed(request, outcome.error);
    if (outcome.value !== undefined && !silent) await this.#showResult(request, outcome.value);
    const user_expressions = await this.#evaluate(request);
    this.outlet.flush();
    return { status: 'ok', execution_count: this.#count, payload: [], user_expressions };
  }

  async #showResult(request: Message, value: unknown): Promise<void> {
    if (await this.outlet.within(request, () => this.outlet.showLive(value))) return;
    const data = await this.outlet.within(request, () => this.outlet.bundle(value));
    this.outlet.flush();
    this.outlet.publish('execute_result', { execution_count: this.#count, data, metadata: {} }, request);
    if (request.content.store_history !== false)
      this.history.setOutput(this.#count, String(data['text/plain'] ?? ''));
  }

  #failed(request: Message, error: CellError): Json {
    this.outlet.flush();
    this.outlet.publish('error', { ...error }, request);
    return { status: 'error', execution_count: this.#count, ...error };
  }

  async #evaluate(request: Message): Promise<Json> {
    const wanted = request.content.user_expressions;
    const results: Json = {};
    if (typeof wanted !== 'object' || wanted === null) return results;
    for (const [name, expression] of Object.entries(wanted))
      results[name] = await this.#valueOf(request, expression).catch((error: unknown) => ({
        status: 'error',
        ...this.engine.describe(error),
      }));
    return results;
  }

  async #valueOf(request: Message, expression: unknown): Promise<Json> {
    if (typeof expression !== 'string') throw new TypeError('an expression is a text');
    const outcome = await this.outlet.within(request, () => this.engine.execute(`(${expression})`, 0));
    if (outcome.status === 'error') return { status: 'error', ...outcome.error };
    const data = await this.outlet.within(request, () => this.outlet.bundle(outcome.value));
    JSON.stringify(data); // throws for a value that cannot be sent, which would take the others with it
    return { status: 'ok', data, metadata: {} };
  }

  async #takeWaiting(): Promise<Message[]> {
    // A cell that blocked the thread leaves requests unread in the socket: wait until no more come in.
    for (let seen = -1; seen !== this.#waiting.length; ) {
      seen = this.#waiting.length;
      await sleep(ARRIVAL_GAP_MS);
    }
    const stoppable = this.#waiting.filter((request) => request.content.stop_on_error !== false);
    const others = this.#waiting.filter((request) => !stoppable.includes(request));
    this.#waiting.splice(0, this.#waiting.length, ...others);
    return stoppable;
  }

  #abort(request: Message): void {
    this.outlet.status('busy', request);
    this.outlet.reply(request, { status: 'aborted', execution_count: this.#count });
    this.outlet.status('idle', request);
  }
}
