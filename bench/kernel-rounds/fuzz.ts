/** Sends a kernel messages that are broken in every way, and looks whether it stays up and answers the next good one. */
import { tmpdir } from 'node:os';
import { KernelClient } from '../../kernels/headless/client';
import type { LongCall } from '../../src/index';
import { memoryOf } from '../process-memory';

export interface FuzzOptions extends LongCall {
  /** Broken messages to send; default 10,000. */
  readonly messages?: number;
  readonly seed?: number;
}

export interface FuzzReport {
  readonly messages: number;
  /** Good messages in between and how many of them were answered rightly. */
  readonly asked: number;
  readonly answered: number;
  /** Code of a broken message that was run: must be none. */
  readonly executed: number;
  /** Resident memory of the kernel before and after, MB. */
  readonly memory: readonly [before: number, after: number];
}

const BETWEEN_GOOD = 250;
const PATIENCE_MS = 60_000;

/** @throws Error where the kernel ends or does not answer any more */
export async function fuzzKernel(options: FuzzOptions = {}): Promise<FuzzReport> {
  const { messages = 10_000, seed = 1, signal, onProgress } = options;
  const random = mulberry(seed);
  const client = await KernelClient.start({ cwd: tmpdir() });
  let executed = 0;
  client.onOutput = ({ content }) => {
    if (String(content.text ?? '').includes('broken')) executed++;
  };
  let [asked, answered] = [0, 0];
  const ask = async (): Promise<void> => {
    asked++;
    let shown = '';
    const seen = client.onOutput;
    client.onOutput = (message) => {
      seen(message);
      if (message.header.msg_type === 'execute_result') {
        shown = String((message.content.data as Record<string, unknown>)['text/plain']);
      }
    };
    const late = new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error('the kernel does not answer any more')), PATIENCE_MS).unref();
    });
    const { content } = await Promise.race([client.execute(`${asked} * 2`), late]);
    client.onOutput = seen;
    if (content.status === 'ok' && shown === String(asked * 2)) answered++;
  };
  try {
    await ask();
    const before = await memoryOf(client.process.pid!);
    for (let at = 0; at < messages; at++) {
      signal?.throwIfAborted();
      const channel = (['shell', 'control', 'stdin'] as const)[at % 3]!;
      const frames = client.frames('execute_request', { code: 'console.log("broken")', silent: false });
      client.sendFrames(channel, broken(frames, random));
      if (at % BETWEEN_GOOD === BETWEEN_GOOD - 1) {
        await ask();
        onProgress?.({ done: at + 1, total: messages, what: 'broken messages' });
      }
    }
    await ask();
    return { messages, asked, answered, executed, memory: [before, await memoryOf(client.process.pid!)] };
  } finally {
    await client.close();
  }
}

/** A message with one thing wrong: none of them may be run. */
function broken(frames: readonly Uint8Array[], random: () => number): Uint8Array[] {
  const pick = (below: number): number => Math.floor(random() * below);
  const copy = frames.map((frame) => Buffer.from(frame));
  const flip = (at: number): void => {
    const frame = copy[at]!;
    frame[pick(frame.length)]! ^= 1 << pick(8);
  };
  switch (pick(9)) {
    case 0:
      copy.splice(pick(copy.length), 1); // a frame is missing
      return copy.length > 0 ? copy : [Buffer.alloc(0)];
    case 1:
      flip(1 + pick(5)); // a bit of the signature or of a signed frame
      return copy;
    case 2:
      return copy.slice(0, 1 + pick(5)); // cut short
    case 3:
      return [Buffer.from('noise'), Buffer.alloc(pick(2000), pick(256))];
    case 4:
      copy[0] = Buffer.from('<IDS|MSG');
      return copy;
    case 5:
      return [Buffer.from('<IDS|MSG>'), Buffer.alloc(64, 'f'), ...copy.slice(2)]; // a forged signature
    case 6:
      [copy[2], copy[5]] = [copy[5]!, copy[2]!]; // frames in the wrong order
      return copy;
    case 7:
      return Array.from({ length: 1 + pick(40) }, () => Buffer.alloc(pick(50), pick(256)));
    default:
      return [...copy.slice(0, 2), ...['null', '[]', '{"msg_id": 1}', '{'].map((text) => Buffer.from(text))];
  }
}

/** Small and good enough to break messages with; a seed gives the same ones again. */
function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
