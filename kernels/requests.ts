/** The answers to requests that run no cell, one function per message type. */
import { version } from '../src/package';
import { type Json, type Message, PROTOCOL_VERSION } from './protocol/wire';
import type { KernelServer } from './server';

type Answer = (message: Message, kernel: KernelServer) => Json | undefined | Promise<Json>;

const ANSWERS: Readonly<Record<string, Answer>> = {
  // A client may send a cell as soon as it has the answer. That cell must not wait for the compiler.
  kernel_info_request: async (_, { engine }) => {
    await engine.ready();
    return {
      ...KERNEL_INFO,
      implementation_version: version(),
      language_info: { ...LANGUAGE_INFO, version: engine.languageVersion },
    };
  },
  connect_request: () => ({ status: 'ok' }),
  complete_request: ({ content }, { engine }) => complete(content, engine),
  inspect_request: ({ content }, { engine }) => inspect(content, engine),
  is_complete_request: async ({ content }, { engine }) => ({ ...(await engine.isComplete(codeOf(content))) }),
  history_request: ({ content }, { history }) => ({ status: 'ok', history: history.answer(content) }),
  comm_info_request: ({ content }, { comms }) => {
    const target = typeof content.target_name === 'string' ? content.target_name : undefined;
    return { status: 'ok', comms: comms.info(target) };
  },
  comm_open: (message, { comms }) => void comms.handleOpen(message),
  comm_msg: (message, { comms }) => void comms.handleMessage(message),
  comm_close: (message, { comms }) => void comms.handleClose(message),
  interrupt_request: () => ({ status: 'ok' }), // done by now: the control thread and the server have seen it
  shutdown_request: ({ content }) => ({ status: 'ok', restart: content.restart === true }),
  debug_request: ({ content }) => ({
    type: 'response',
    request_seq: content.seq ?? 0,
    success: false,
    command: content.command ?? '',
    message: 'this kernel has no debugger',
    body: {},
  }),
};

/** The content of the reply to `message`; undefined for one-way messages and for unknown ones. */
export async function answer(message: Message, kernel: KernelServer): Promise<Json | undefined> {
  const type = message.header.msg_type;
  return Object.hasOwn(ANSWERS, type) ? ANSWERS[type]!(message, kernel) : undefined;
}

const LANGUAGE_INFO: Json = {
  name: 'typescript',
  mimetype: 'text/typescript',
  file_extension: '.ts',
  pygments_lexer: 'typescript',
  codemirror_mode: { mode: 'typescript', name: 'javascript', typescript: true },
  nbconvert_exporter: 'script',
};

const KERNEL_INFO: Json = {
  status: 'ok',
  protocol_version: PROTOCOL_VERSION,
  implementation: 'patchwise',
  banner: 'Patchwise: 3D VQ-GANs on full-resolution CT, in TypeScript',
  debugger: false,
  supported_features: [],
  help_links: [{ text: 'TypeScript', url: 'https://www.typescriptlang.org/docs/' }],
};

async function complete(content: Json, engine: KernelServer['engine']): Promise<Json> {
  const code = codeOf(content);
  const { matches, kinds, start, end } = await engine.complete(code, cursorOf(content, code));
  const [cursor_start, cursor_end] = [codePointsBefore(code, start), codePointsBefore(code, end)];
  const types = matches
    .slice(0, TYPED_MATCHES)
    .map((text, at) => ({ start: cursor_start, end: cursor_end, text, type: kinds[at] ?? '' }));
  const metadata = { _jupyter_types_experimental: types };
  return { status: 'ok', matches, cursor_start, cursor_end, metadata };
}

/** Matches that get a kind, which the front end shows beside them. Nobody reads further, and the reply stays small. */
const TYPED_MATCHES = 200;

async function inspect(content: Json, engine: KernelServer['engine']): Promise<Json> {
  const code = codeOf(content);
  const found = await engine.inspect(code, cursorOf(content, code));
  if (!found) return { status: 'ok', found: false, data: {}, metadata: {} };
  const { signature, documentation } = found;
  const data = {
    'text/plain': documentation ? `${signature}\n\n${documentation}` : signature,
    'text/markdown': `\`\`\`typescript\n${signature}\n\`\`\`\n\n${documentation}`,
  };
  return { status: 'ok', found: true, data, metadata: {} };
}

function codeOf(content: Json): string {
  return typeof content.code === 'string' ? content.code : '';
}

function cursorOf(content: Json, code: string): number {
  return typeof content.cursor_pos === 'number' ? utf16Offset(code, content.cursor_pos) : code.length;
}

/** Jupyter counts cursor positions in Unicode code points, JavaScript and TypeScript in UTF-16 units. */
function utf16Offset(text: string, codePoints: number): number {
  let offset = 0;
  for (let passed = 0; passed < codePoints && offset < text.length; passed++) {
    offset += text.codePointAt(offset)! > 0xffff ? 2 : 1;
  }
  return offset;
}

function codePointsBefore(text: string, offset: number): number {
  let passed = 0;
  for (let at = 0; at < offset && at < text.length; passed++) at += text.codePointAt(at)! > 0xffff ? 2 : 1;
  return passed;
}
