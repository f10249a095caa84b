/**
 * The Patchwise kernel: answers Jupyter messages with a CellEngine. Execute requests wait in a queue; everything
 * else, comms included, is answered at once, also between the awaits of a running cell.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { CommRegistry } from './comms';
import type { Connection } from './connection';
import {
  type DisplayOptions,
  Displays,
  installHooks,
  type MimeBundle,
  type Present,
  toMimeBundle,
} from './display';
import type { CellEngine } from './engine';
import { type ExecutionOutlet, ExecutionQueue } from './execution';
import { History } from './history';
import { InputPrompts } from './input';
import { CellInterrupted, type Interrupts } from './interrupts';
import { captureStreams, Output, type Parent, type StreamName } from './output';
import { answer } from './requests';
import { type RequestChannel, Sockets } from './sockets';
import { type Json, type Message, Wire } from './wire';

export interface KernelOptions {
  readonly connection: Connection;
  readonly engine: CellEngine;
  readonly interrupts: Interrupts;
  /** How the library's values show themselves. */
  readonly present?: Present;
  /** Shows a value that keeps moving (a run) by a display of its own; undefined for a value that does not move. */
  readonly showLive?: (value: unknown, options: DisplayOptions) => Promise<void> | undefined;
  /** Called once a shutdown request is answered; ends the process. */
  readonly onShutdown: () => void;
}

/**
 * The compiler takes a second or two to load. It is loaded once a front end has had its first answer, and the answer
 * to a repeated question (clients ask again until they hear iopub).
 */
const PREPARE_AFTER_MS = 50;

export class KernelServer {
  /** Register a target here to be told of the comms that the front end opens. */
  readonly comms: CommRegistry;
  readonly engine: CellEngine;
  readonly history = new History();
  readonly #wire: Wire;
  readonly #sockets: Sockets;
  readonly #output: Output;
  readonly #displays: Displays;
  readonly #prompts: InputPrompts;
  readonly #queue: ExecutionQueue;
  /** The request whose code runs in the present asynchronous context: background work keeps that of its cell. */
  readonly #cells = new AsyncLocalStorage<Message>();
  readonly #pendingDisplays = new Set<Promise<void>>();
  #introduced = false;
  /** What has no context of its own (an uncaught error, a library's global timer) goes to the latest cell. */
  #latest: Message | undefined;

  constructor(private readonly options: KernelOptions) {
    this.engine = options.engine;
    const { connection } = options;
    this.#wire = new Wire(connection.key, 'kernel');
    const log = captureStreams((name, text) => this.#output.write(name, text, this.#parent()));
    this.#sockets = new Sockets(this.#wire, options.interrupts, (line) =>
      log(`[patchwise kernel] ${line}\n`),
    );
    const publish = (type: string, content: Json, parent: Parent): void =>
      this.#sockets.publish({ type, content, parent });
    this.#output = new Output(publish);
    this.#displays = new Displays(publish, this.#output);
    this.#prompts = new InputPrompts((message) => this.#sockets.send('stdin', message));
    this.comms = new CommRegistry((type, content, buffers) =>
      this.#sockets.publish({ type, content, buffers, parent: this.#parent() }),
    );
    this.#queue = new ExecutionQueue(this.engine, this.history, this.#outlet());
  }

  async start(): Promise<void> {
    installHooks({
      display: (value, options) => this.displayValue(value, options),
      clearOutput: ({ wait = false } = {}) => this.#displays.clear(wait, this.#parent()),
      input: (prompt = '', { password = false } = {}) => {
        this.#output.flush();
        return this.#prompts.ask(prompt, password, this.#cell());
      },
      comms: this.comms,
    });
    process.on('SIGINT', () => this.interrupt());
    process.on('exit', () => this.#end()); // after a shutdown request, but also where a cell calls process.exit
    process.on('uncaughtException', (error) => this.#reportStray('Uncaught', error));
    process.on('unhandledRejection', (error) => this.#reportStray('Unhandled rejection:', error));
    await this.#sockets.bind(this.options.connection, (channel, message) => this.#receive(channel, message));
    this.#sockets.publish({ type: 'status', content: { execution_state: 'starting' } });
  }

  /** Shows a ready bundle in the cell whose code runs, or in `parent`. */
  display(bundle: MimeBundle, options: DisplayOptions = {}): void {
    this.#displays.show(bundle, options.parent ?? this.#parent(), options);
  }

  /** Shows any value. */
  displayValue(value: unknown, options: DisplayOptions = {}): void {
    const placed = { ...options, parent: options.parent ?? this.#parent() };
    const live = this.options.showLive?.(value, placed);
    const bundle = live ? undefined : this.#bundle(value);
    if (live) this.#expect(live);
    else if (bundle instanceof Promise) this.#expect(bundle.then((ready) => this.display(ready, placed)));
    else if (bundle) this.display(bundle, placed);
  }

  /** The running cell ends when this display is there. */
  #expect(shown: Promise<void>): void {
    this.#pendingDisplays.add(shown);
    void shown.finally(() => this.#pendingDisplays.delete(shown));
  }

  /** The header of the request whose code runs now: pass it to `display` from code that runs outside of any cell. */
  currentParent(): Parent {
    return this.#parent();
  }

  interrupt(): void {
    this.#prompts.cancel();
    this.engine.interrupt();
  }

  /** The last thing the process does. */
  #end(): void {
    this.#output.flush();
    this.#sockets.close();
  }

  #receive(channel: RequestChannel, message: Message): void {
    const type = message.header.msg_type;
    if (channel === 'stdin') this.#prompts.answer(message);
    else if (type === 'execute_request' && channel === 'shell') this.#queue.submit(message);
    else void this.#cells.run(message, () => this.#answer(channel, message));
  }

  /** Answers every request but execute_request, between its busy and idle. */
  async #answer(channel: RequestChannel, message: Message): Promise<void> {
    this.#status('busy', message);
    try {
      const reply = await answer(message, this);
      if (reply) {
        const { header, identities } = message;
        const type = header.msg_type.replace('_request', '_reply');
        this.#sockets.send(channel, { type, content: reply, parent: header, identities });
      }
    } catch (error) {
      this.#reportStray(`${message.header.msg_type} failed:`, error);
    } finally {
      this.#status('idle', message);
    }
    const type = message.header.msg_type;
    if (type === 'shutdown_request') this.options.onShutdown();
    if (type === 'kernel_info_request' && !this.#introduced) {
      this.#introduced = true;
      setTimeout(() => this.engine.prepare(), PREPARE_AFTER_MS);
    }
  }

  #outlet(): ExecutionOutlet {
    return {
      publish: (type, content, { header }) => {
        this.#output.flush();
        this.#sockets.publish({ type, content, parent: header });
      },
      reply: ({ header, identities }, content) =>
        this.#sockets.send('shell', { type: 'execute_reply', content, parent: header, identities }),
      status: (state, request) => this.#status(state, request),
      flush: () => this.#output.flush(),
      within: async (request, work) => {
        this.#latest = request;
        const result = await this.#cells.run(request, work);
        await Promise.allSettled(this.#pendingDisplays);
        return result;
      },
      bundle: async (value) => this.#bundle(value),
      showLive: async (value) => {
        const shown = this.options.showLive?.(value, {});
        await shown;
        return shown !== undefined;
      },
    };
  }

  #bundle(value: unknown): MimeBundle | Promise<MimeBundle> {
    return toMimeBundle(value, this.options.present ?? (() => undefined));
  }

  #status(execution_state: 'busy' | 'idle', { header }: Message): void {
    this.#output.flush();
    this.#sockets.publish({ type: 'status', content: { execution_state }, parent: header });
  }

  #cell(): Message | undefined {
    return this.#cells.getStore() ?? this.#latest;
  }

  #parent(): Parent {
    return this.#cell()?.header ?? {};
  }

  #reportStray(what: string, error: unknown): void {
    if (error instanceof CellInterrupted) return; // work that an interrupted cell left running has ended, as asked
    const text = this.engine.describe(error).traceback.join('\n');
    this.#output.write('stderr' satisfies StreamName, `${what} ${text}\n`, this.#parent());
  }
}
