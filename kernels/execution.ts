/**
 * The execution queue: one cell after the other, in the order they came. A failed cell whose request says
 * stop_on_error takes with it the requests that were already waiting.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CellEngine, CellError } from './engine';
import type { History } from './history';
import type { Json, Message } from './wire';

/** What the queue needs of the server around it, all for one request. */
export interface ExecutionOutlet {
  publish(type: string, content: Json, request: Message): void;
  reply(request: Message, content: Json): void;
  status(state: 'busy' | 'idle', request: Message): void;
  /** Sends what the cell has printed so far. */
  flush(): void;
  /** Runs `work` so that all output it causes, now or later, belongs to `request`'s cell. */
  within<T>(request: Message, work: () => Promise<T>): Promise<T>;
  bundle(value: unknown): Promise<Json>;
  /** Shows a value that keeps moving by a display of its own; false for every other value. */
  showLive(value: unknown): Promise<boolean>;
}

/** While requests that a client sent in one go are still arriving, the gap between two is shorter than this. */
const ARRIVAL_GAP_MS = 5;

export class ExecutionQueue {
  readonly #waiting: Message[] = [];
  #busy = false;
  #count = 0;

  constructor(
    private readonly engine: CellEngine,
    private readonly history: History,
    private readonly outlet: ExecutionOutlet,
  ) {}

  submit(request: Message): void {
    this.#waiting.push(request);
    if (!this.#busy) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#busy = true;
    for (let request = this.#waiting.shift(); request; request = this.#waiting.shift()) {
      this.outlet.status('busy', request);
      const reply = await this.#run(request);
      const stops = reply.status === 'error' && request.content.stop_on_error !== false;
      // Before the answer, so that what a client sends after it has seen the failure is not taken along.
      const aborted = stops ? await this.#takeWaiting() : [];
      this.outlet.reply(request, reply);
      this.outlet.status('idle', request);
      for (const other of aborted) this.#abort(other);
    }
    this.#busy = false;
  }

  /** Executes one request and returns its reply; the reply is not sent yet. */
  async #run(request: Message): Promise<Json> {
    const code = String(request.content.code ?? '');
    const silent = request.content.silent === true;
    if (!silent) {
      this.#count++;
      if (request.content.store_history !== false) this.history.add(this.#count, code);
      this.outlet.publish('execute_input', { code, execution_count: this.#count }, request);
    }
    const outcome = await this.outlet.within(request, () => this.engine.execute(code, this.#count));
    if (outcome.status === 'error') return this.#failed(request, outcome.error);
    try {
      if (outcome.value !== undefined && !silent) await this.#showResult(request, outcome.value);
      const user_expressions = await this.#evaluate(request);
      this.outlet.flush();
      return { status: 'ok', execution_count: this.#count, payload: [], user_expressions };
    } catch (error) {
      return this.#failed(request, this.engine.describe(error)); // a value whose own display method throws
    }
  }

  async #showResult(request: Message, value: unknown): Promise<void> {
    if (await this.outlet.within(request, () => this.outlet.showLive(value))) return;
    const data = await this.outlet.within(request, () => this.outlet.bundle(value));
    this.outlet.flush();
    this.outlet.publish('execute_result', { execution_count: this.#count, data, metadata: {} }, request);
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
    for (const [name, expression] of Object.entries(wanted)) {
      const outcome = await this.outlet.within(request, () => this.engine.execute(`(${expression})`, 0));
      results[name] =
        outcome.status === 'ok'
          ? { status: 'ok', data: await this.outlet.bundle(outcome.value), metadata: {} }
          : { status: 'error', ...outcome.error };
    }
    return results;
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
