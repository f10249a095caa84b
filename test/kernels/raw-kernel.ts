/**
 * A Jupyter client written by hand for these tests: frames, signatures and sockets of its own, nothing of kernels/.
 * It runs the built kernel, as Jupyter does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { Dealer, Request, Subscriber } from 'zeromq';

const ROOT = resolve(__dirname, '../..');
export const KERNEL = join(ROOT, 'dist/kernels/main.js');
export const KEY = 'a key of this test alone';

/** TypeScript for the hook of this name that the kernel offers to cells. */
export const hook = (name: 'display' | 'clearOutput' | 'input'): string =>
  `(globalThis as unknown as Record<symbol, (...given: unknown[]) => unknown>)[Symbol.for('patchwise.${name}')]!`;

/** The environment of a kernel that checks no types, which take a second or two to load. */
export const untyped = { PATCHWISE_TYPES: 'off' };

/** The fields of messages that the tests read. A message has those of its type. */
export interface Content {
  status: string;
  ename: string;
  evalue: string;
  traceback: string[];
  execution_count: number;
  execution_state: string;
  user_expressions: Record<string, Content>;
  name: string;
  text: string;
  /** Texts by MIME type; in the messages of a comm whatever it says. */
  data: Record<string, string> & { opened?: { hello: number } };
  metadata: { _jupyter_types_experimental: { type: string }[] };
  transient: { display_id: string };
  wait: boolean;
  history: [session: number, line: number, cell: unknown][];
  matches: string[];
  cursor_start: number;
  cursor_end: number;
  found: boolean;
  language_info: { name: string; version: string };
  comms: Record<string, unknown>;
  comm_id: string;
}

export interface Received {
  type: string;
  parent: string;
  content: Content;
  buffers: Buffer[];
}

type Name = 'shell' | 'control' | 'stdin';

export class RawKernel {
  /** Everything heard on iopub, in order. */
  readonly heard: Received[] = [];
  readonly replies: Received[] = [];
  stderr = '';
  #ports: Record<Name, number> = { shell: 0, control: 0, stdin: 0 };
  readonly session = randomUUID();
  readonly exit: Promise<[number | null, NodeJS.Signals | null]>;

  constructor(
    readonly child: ChildProcess,
    readonly folder: string,
    readonly sockets: Record<Name, Dealer>,
    readonly iopub: Subscriber,
    readonly heartbeat: Request,
  ) {
    child.stderr?.on('data', (text) => {
      this.stderr += text;
    });
    this.exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    for (const socket of Object.values(sockets)) void this.#listen(socket, this.replies);
    void this.#listen(iopub, this.heard);
  }

  static async start(
    environment: NodeJS.ProcessEnv = {},
    program = [process.execPath, KERNEL],
  ): Promise<RawKernel> {
    const folder = mkdtempSync(join(tmpdir(), 'patchwise-wire-'));
    const ports = await freePorts(5);
    const [shell, control, stdin, iopub, hb] = ports;
    const file = join(folder, 'connection.json');
    const fields = {
      shell_port: shell,
      control_port: control,
      stdin_port: stdin,
      iopub_port: iopub,
      hb_port: hb,
    };
    const rest = { ip: '127.0.0.1', transport: 'tcp', key: KEY, signature_scheme: 'hmac-sha256' };
    writeFileSync(file, JSON.stringify({ ...fields, ...rest }));
    const child = spawn(program[0]!, [...program.slice(1), file], {
      cwd: folder,
      env: { ...process.env, JPY_PARENT_PID: String(process.pid), PATCHWISE_TYPES: 'strict', ...environment },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    const dealer = (port: number): Dealer => dealerOf(folder, port);
    const subscriber = new Subscriber({ linger: 0 });
    subscriber.connect(`tcp://127.0.0.1:${iopub}`);
    subscriber.subscribe();
    const heartbeat = new Request({ linger: 0, receiveTimeout: 3000 });
    heartbeat.connect(`tcp://127.0.0.1:${hb}`);
    const sockets = { shell: dealer(shell!), control: dealer(control!), stdin: dealer(stdin!) };
    const kernel = new RawKernel(child, folder, sockets, subscriber, heartbeat);
    kernel.#ports = { shell: shell!, control: control!, stdin: stdin! };
    for (let tries = 0; kernel.heard.length === 0 && tries < 100; tries++) {
      kernel.send('shell', 'kernel_info_request', {});
      await sleep(100);
    }
    // The types are there from here on; a kernel that checks none does not load them.
    if (environment.PATCHWISE_TYPES !== 'off')
      await kernel.request('inspect_request', { code: '', cursor_pos: 0 });
    return kernel;
  }

  /** The frames of a message, signed unless a signature is given. */
  frames(
    type: string,
    content: object,
    signature?: string,
    buffers: Uint8Array[] = [],
    metadata: object = {},
  ): (string | Uint8Array)[] {
    const header = {
      msg_id: randomUUID(),
      session: this.session,
      username: 'test',
      date: new Date().toISOString(),
      msg_type: type,
      version: '5.4',
    };
    const parts = [header, {}, metadata, content].map((part) => JSON.stringify(part));
    const signed = createHmac('sha256', KEY).update(parts.join('')).digest('hex');
    return ['<IDS|MSG>', signature ?? signed, ...parts, ...buffers];
  }

  /** Sends a message and returns its id. */
  send(
    socket: Name,
    type: string,
    content: object,
    buffers: Uint8Array[] = [],
    metadata: object = {},
  ): string {
    const frames = this.frames(type, content, undefined, buffers, metadata);
    void this.sockets[socket].send(frames);
    return JSON.parse(frames[2] as string).msg_id;
  }

  async reply(id: string): Promise<Received> {
    return until(() => this.replies.find(({ parent }) => parent === id));
  }

  async request(type: string, content: object, socket: Name = 'shell'): Promise<Received['content']> {
    return (await this.reply(this.send(socket, type, content))).content;
  }

  /** Starts a cell and returns its id; `finished` waits for it. */
  begin(code: string, options: object = {}, metadata: object = {}): string {
    const content = { code, silent: false, store_history: true, ...options };
    return this.send('shell', 'execute_request', content, [], metadata);
  }

  async finished(id: string): Promise<{ reply: Received['content']; outputs: Received[] }> {
    const idle = ({ type, parent, content }: Received) =>
      type === 'status' && parent === id && content.execution_state === 'idle';
    await until(() => this.heard.find(idle));
    const { content } = await this.reply(id);
    return { reply: content, outputs: this.outputsOf(id) };
  }

  async execute(code: string, options: object = {}): ReturnType<RawKernel['finished']> {
    return this.finished(this.begin(code, options));
  }

  /** The text of the cell's last value; undefined if it has none. @throws Error with the traceback of a cell that fails */
  async value(code: string): Promise<string | undefined> {
    const { reply, outputs } = await this.execute(code);
    if (reply.status !== 'ok') throw new Error(stripVTControlCharacters(reply.traceback.join('\n')));
    // Displays of other cells are replaced at any time.
    return outputs.findLast(({ type }) => type !== 'update_display_data')?.content.data?.['text/plain'];
  }

  async failure(code: string): Promise<{ ename: string; text: string }> {
    const { reply } = await this.execute(code);
    return { ename: reply.ename, text: stripVTControlCharacters((reply.traceback ?? []).join('\n')) };
  }

  /** Begins a cell and waits until it runs: its text arrives while it keeps the main thread busy. */
  async running(code: string): Promise<string> {
    const id = this.begin(`console.log('it runs'); ${code}`);
    await until(() => this.textOf(id).includes('it runs'));
    return id;
  }

  /** Interrupts a cell that does not end, once it runs. @returns the name of its error */
  async interrupted(code: string): Promise<string> {
    const id = await this.running(code);
    this.send('control', 'interrupt_request', {});
    return (await this.finished(id)).reply.ename;
  }

  /** What a cell put out, without status and execute_input. */
  outputsOf(id: string): Received[] {
    return this.heard.filter(
      ({ type, parent }) => parent === id && type !== 'status' && type !== 'execute_input',
    );
  }

  textOf(id: string): string {
    return this.outputsOf(id)
      .filter(({ type }) => type === 'stream')
      .map(({ content }) => content.text)
      .join('');
  }

  /** One more connection with the same identity. */
  again(name: Name): Dealer {
    const socket = dealerOf(this.folder, this.#ports[name]);
    void this.#listen(socket, this.replies);
    return socket;
  }

  stop(): void {
    this.child.kill('SIGKILL');
    for (const socket of [...Object.values(this.sockets), this.iopub, this.heartbeat]) socket.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #listen(socket: Dealer | Subscriber, into: Received[]): Promise<void> {
    for await (const frames of socket) {
      const at = frames.findIndex((frame) => frame.toString() === '<IDS|MSG>');
      const [signature, header, parent, , content] = frames.slice(at + 1).map(String);
      const expected = createHmac('sha256', KEY);
      for (const part of frames.slice(at + 2, at + 6)) expected.update(part);
      if (signature !== expected.digest('hex')) throw new Error('the kernel signed wrongly');
      into.push({
        type: JSON.parse(header!).msg_type,
        parent: JSON.parse(parent!).msg_id ?? '',
        content: JSON.parse(content!),
        buffers: frames.slice(at + 6),
      });
    }
  }
}

function dealerOf(identity: string, port: number): Dealer {
  const socket = new Dealer({ routingId: identity, linger: 0 });
  socket.connect(`tcp://127.0.0.1:${port}`);
  return socket;
}

/** Polls until there is a value. */
export async function until<T>(
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 20_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`still waiting after ${timeoutMs} ms for: ${probe}`);
    await sleep(5);
  }
}

/** The kernel that runs is the built one: a test against yesterday's build would prove nothing. */
function requireFreshBuild(): void {
  const folder = join(ROOT, 'kernels');
  // Not a file's own output, which the compiler leaves as it is where the text is the same.
  const built = statSync(join(ROOT, 'dist/.built'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  ))
    if (statSync(join(folder, name)).mtimeMs > built)
      throw new Error(`kernels/${name} is newer than its build: run "npm run build" first`);
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  for (const server of servers) server.close();
  return ports;
}

requireFreshBuild();
