/**
 * The Patchwise kernel: answers Jupyter messages with a CellEngine. Execute requests wait in a queue; everything
 * else, comms included, is answered at once, also between the awaits of a running cell.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type CellHooks, installCellHooks, type MimeBundle } from '../src/display-protocol';
import type { CellEngine } from './cells/engine';
import { isInterruption } from './cells/error';
import { type DisplayOptions, Displays, type Presentation } from './display/displays';
import { Gathered } from './display/gathered';
import { type ExecutionOutlet, ExecutionQueue } from './execution';
import type { Interrupts } from './process/interrupts';
import { keepListeners, keepSigint } from './process/listeners';
import { runInterruptible } from './process/run-interruptible';
import { CommRegistry } from './protocol/comms';
import type { Connection } from './protocol/connection';
import { History } from './protocol/history';
import { InputPrompts } from './protocol/input';
import { captureStreams, Output, type Parent } from './protocol/output';
import { type RequestChannel, Sockets } from './protocol/sockets';
import { type Json, type Message, Wire } from './protocol/wire';
import { answer } from './requests';

interface KernelOptions extends Presentation {
  readonly connection: Connection;
  readonly engine: CellEngine;
  readonly interrupts: Interrupts;
  /** The descriptor that reads what is written to file descriptor 1. */
  readonly stdout?: number | undefined;
  /** Hears of every request that runs a cell, and which cell of the notebook it is, if the front end says so. */
  readonly onCell?: (cellId: string | undefined) => void;
  /** What the kernel offers to cells beside its own hooks. */
  readonly hooks: Pick<CellHooks, 'interact' | 'widget' | 'holdVolumes'>;
  /** Called once a shutdown request is answered; ends the process. */
  readonly onShutdown: () => void;
}

/** How long the control thread may send the rest when the process aborts. */
const LAST_WORDS_MS = 300;

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
  /** Takes the outputs of the code in the present asynchronous context, instead of its cell. */
  readonly #gathering = new AsyncLocalStorage<Gathered>();
  /** Output without a context (an uncaught error, a library's global timer) goes to the latest cell. */
  #latest: Message | undefined;

  constructor(private readonly options: KernelOptions) {
    this.engine = options.engine;
    const { connection } = options;
    this.#wire = new Wire(connection.key, 'kernel');
    const log = captureStreams((name, text) => {
      const gathered = this.#gathered();
      if (gathered) gathered.write(name, text);
      else this.#output.write(name, text, this.currentParent());
    });
    this.#sockets = new Sockets(
      this.#wire,
      options.interrupts,
      (line) => log(`[patchwise kernel] ${line}\n`),
      options.stdout,
    );
    const publish = (type: string, content: Json, parent: Parent): void =>
      this.#sockets.publish({ type, content, parent });
    this.#output = new Output({
      publish,
      print: (printed) => this.#sockets.print(printed),
      onError: (error, parent) => this.#reportStray('A display was not updated:', error, parent),
    });
    this.#displays = new Displays(
      options,
      this.#output,
      publish,
      () => this.currentParent(),
      () => this.#gathered(),
    );
    this.#prompts = new InputPrompts((message) => this.#sockets.send('stdin', message));
    this.comms = new CommRegistry((type, content, buffers) =>
      this.#sockets.publish({ type, content, buffers, parent: this.currentParent() }),
    );
    this.#queue = new ExecutionQueue(this.engine, this.history, this.#outlet());
  }

  async start(): Promise<void> {
    const hooks: CellHooks & { readonly comms: CommRegistry } = {
      display: (value, options) => this.#displays.showValue(value, options),
      clearOutput: ({ wait = false } = {}) => this.#displays.clear(wait),
      input: (prompt = '', { password = false } = {}) => {
        this.#output.flush();
        // Front ends take questions of cells that run, not those of an answer of controls after its cell.
        const cell = this.#cell();
        return this.#prompts.ask(prompt, password, cell === this.#queue.running ? cell : undefined);
      },
      comms: this.comms,
      ...this.options.hooks,
    };
    installCellHooks(hooks);
    console.clear = () => hooks.clearOutput();
    keepSigint(() => this.interrupt(), this.options.interrupts.gate);
    process.on('exit', () => this.#end()); // after a shutdown request, but also where a cell calls process.exit
    this.#endBeforeAbort();
    process.on('uncaughtException', (error) => this.#reportStray('Uncaught', error));
    process.on('unhandledRejection', (error) => this.#reportStray('Unhandled rejection:', error));
    keepListeners();
    await this.#sockets.bind(this.options.connection, (channel, message) => this.#receive(channel, message));
    this.#sockets.publish({ type: 'status', content: { execution_state: 'starting' } });
  }

  /** Shows a ready bundle in the cell whose code runs, or in `parent`. */
  display(bundle: MimeBundle, options: DisplayOptions = {}): void {
    this.#displays.show(bundle, options);
  }

  /**
   * Runs code of a cell beside all cells, and gives what it prints, shows and returns as outputs, or its error. An interrupt
   * ends it.
   */
  async gather(work: () => unknown): Promise<Gathered> {
    const { interrupts } = this.options;
    const gathered = new Gathered();
    try {
      await interrupts.within(() =>
        this.#gathering.run(gathered, async () => {
          const value = await interrupts.orInterrupted(runInterruptible(work));
          if (value !== undefined) runInterruptible(() => this.#displays.showValue(value));
          await interrupts.orInterrupted(this.#displays.settled());
        }),
      );
    } catch (error) {
      gathered.fail(this.engine.describe(error));
    }
    return gathered.close();
  }

  /** Calls `work` once what is gathered now is shown nowhere any more. What a cell shows has no such end. */
  onRelease(work: () => void): void {
    this.#gathered()?.onRelease(work);
  }

  /** Runs code of a cell beside all cells. What it prints belongs to its cell, and its errors too. An interrupt ends it. */
  async runBeside(work: () => unknown): Promise<void> {
    const { interrupts } = this.options;
    try {
      await interrupts.within(() => interrupts.orInterrupted(runInterruptible(work)));
    } catch (error) {
      this.#reportStray('Uncaught', error);
    }
  }

  /** The cell of the notebook whose code runs, as the front end names it. */
  get cellId(): string | undefined {
    return cellIdOf(this.#cell());
  }

  /** The header of the request whose code runs now: pass it to `display` from code that runs outside of any cell. */
  currentParent(): Parent {
    return this.#cell()?.header ?? {};
  }

  /** Stops the cell that runs, if one does: there was a SIGINT. */
  interrupt(): void {
    const { interrupts } = this.options;
    // The control thread marks what a request means, and sends a signal, which may come after the next cell began.
    if (!interrupts.gate.take()) interrupts.mark();
    this.#stopWaiting();
  }

  /** Ends what an interrupted cell waits for. */
  #stopWaiting(): void {
    if (!this.options.interrupts.answer()) return;
    this.#prompts.cancel();
    this.engine.interrupt();
  }

  /** `process.abort` ends the process without the event `exit`. */
  #endBeforeAbort(): void {
    const { abort } = process;
    process.abort = () => {
      this.#end();
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_WORDS_MS);
      return abort.call(process);
    };
  }

  /** The last thing the process does. */
  #end(): void {
    this.#output.flush();
    this.#sockets.close();
  }

  #receive(channel: RequestChannel, message: Message): void {
    const type = message.header.msg_type;
    if (type === 'interrupt_request') this.#stopWaiting(); // the control thread has marked the cell
    if (channel === 'stdin') this.#prompts.answer(message);
    else if (type === 'execute_request' && channel === 'shell') this.#queue.submit(message);
    else void this.#cells.run(message, () => this.#answer(channel, message));
  }

  /** Answers every request but execute_request, between its busy and idle. */
  async #answer(channel: RequestChannel, message: Message): Promise<void> {
    this.#status('busy', message);
    const { header, identities } = message;
    const type = header.msg_type.replace('_request', '_reply');
    try {
      const content = await answer(message, this);
      if (content) this.#sockets.send(channel, { type, content, parent: header, identities });
    } catch (error) {
      this.#reportStray(`${header.msg_type} failed:`, error);
      // A client waits for a reply, whatever has happened.
      const { ename, evalue, traceback } = this.engine.describe(error);
      const content = { status: 'error', ename, evalue, traceback: [...traceback] };
      if (type !== header.msg_type)
        this.#sockets.send(channel, { type, content, parent: header, identities });
    } finally {
      this.#status('idle', message);
      // Front ends show the state that came last, of whichever request: a cell that waits still runs.
      if (this.#queue.running) this.#status('busy', this.#queue.running);
    }
    if (header.msg_type === 'shutdown_request') this.options.onShutdown();
  }

  #outlet(): ExecutionOutlet {
    const { interrupts } = this.options;
    return {
      publish: (type, content, { header }) => {
        this.#output.flush();
        this.#sockets.publish({ type, content, parent: header });
      },
      reply: ({ header, identities }, content) =>
        this.#sockets.send('shell', { type: 'execute_reply', content, parent: header, identities }),
      status: (state, request) => this.#status(state, request),
      flush: () => this.#output.flush(),
      within: (request, work) => {
        if (request !== this.#latest) this.options.onCell?.(cellIdOf(request));
        this.#latest = request;
        this.#sockets.enter(request.header);
        return interrupts.within(async () => {
          const result = await this.#cells.run(request, work);
          await interrupts.orInterrupted(this.#displays.settled());
          return result;
        });
      },
      // Both run code of the value's own, which may never end.
      bundle: (value) => interrupts.orInterrupted(runInterruptible(() => this.#displays.bundle(value))),
      showLive: (value) => interrupts.orInterrupted(runInterruptible(() => this.#displays.showLive(value))),
    };
  }

  #status(execution_state: 'busy' | 'idle', { header }: Message): void {
    this.#output.flush();
    this.#sockets.publish({ type: 'status', content: { execution_state }, parent: header });
  }

  #gathered(): Gathered | undefined {
    const gathered = this.#gathering.getStore();
    return gathered?.isOpen ? gathered : undefined;
  }

  #cell(): Message | undefined {
    return this.#cells.getStore() ?? this.#latest;
  }

  /** Never throws: the process would end. */
  #reportStray(what: string, error: unknown, parent = this.currentParent()): void {
    if (isInterruption(error)) return; // work that an interrupted cell left running has ended, as asked
    const text = this.engine.describe(error).traceback.join('\n');
    this.#output.write('stderr', `${what} ${text}\n`, parent);
  }
}

function cellIdOf(request: Message | undefined): string | undefined {
  const { cellId } = request?.metadata ?? {};
  return typeof cellId === 'string' ? cellId : undefined;
}
