/**
 * Jupyter messages as frames on a socket: `[identity..., <IDS|MSG>, signature, header, parent, metadata, content,
 * buffer...]`, signed with HMAC-SHA256 over the four JSON frames (messaging specification 5.4). Pure: no sockets here.
 */

import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import { attempt } from '../../src/errors';

export const PROTOCOL_VERSION = '5.4';

export interface Header {
  readonly msg_id: string;
  readonly msg_type: string;
  readonly session: string;
  readonly username: string;
  readonly date: string;
  readonly version: string;
}

export type Json = Record<string, unknown>;

export interface Message {
  readonly identities: readonly Uint8Array[];
  readonly header: Header;
  readonly parent: Partial<Header>;
  readonly metadata: Json;
  readonly content: Json;
  readonly buffers: readonly Uint8Array[];
}

/** What a sender chooses. The wire fills in the rest: id, date, session and signature. */
export interface Outgoing {
  readonly type: string;
  readonly content: Json;
  readonly parent?: Partial<Header>;
  readonly identities?: readonly Uint8Array[];
  readonly metadata?: Json;
  readonly buffers?: readonly Uint8Array[];
}

/** Why frames were not taken for a message. */
interface Dropped {
  readonly dropped: string;
}

const DELIMITER = Buffer.from('<IDS|MSG>');
/** ipykernel, too, remembers so many signatures to recognise a replay. */
const REMEMBERED_SIGNATURES = 65_536;

export class Wire {
  readonly #seen = new Set<string>();

  /** `key` is the connection file's; an empty key turns signing off, as the specification allows. */
  constructor(
    readonly key: string,
    readonly username: string,
    readonly session: string = randomUUID(),
  ) {}

  encode(message: Outgoing): Uint8Array[] {
    const header = this.header(message.type);
    const parts = [header, message.parent ?? {}, message.metadata ?? {}, message.content].map((part) =>
      Buffer.from(jsonText(part)),
    );
    const signature = Buffer.from(this.#sign(parts));
    return [...(message.identities ?? []), DELIMITER, signature, ...parts, ...(message.buffers ?? [])];
  }

  /** The message in these frames, or why they are dropped: bad framing, signature, replay or JSON. */
  decode(frames: readonly Uint8Array[]): Message | Dropped {
    const at = frames.findIndex((frame) => DELIMITER.equals(frame));
    if (at < 0) return { dropped: 'no <IDS|MSG> delimiter' };
    const parts = frames.slice(at + 2, at + 6);
    if (parts.length < 4) return { dropped: `${parts.length} of 4 JSON frames after the signature` };
    const signature = Buffer.from(frames[at + 1]!).toString('latin1');
    if (!this.#verified(signature, parts)) return { dropped: 'wrong signature' };
    if (this.key && this.#replayed(signature)) return { dropped: 'replayed signature' };
    const [header, parent, metadata, content] = parts.map(parseObject);
    if (!header || !parent || !metadata || !content) return { dropped: 'a frame that is not a JSON object' };
    if (!isHeader(header)) return { dropped: 'header without msg_id, msg_type and session' };
    const identities = frames.slice(0, at);
    return { identities, header, parent, metadata, content, buffers: frames.slice(at + 6) };
  }

  header(type: string): Header {
    const { session, username } = this;
    const date = new Date().toISOString();
    return { msg_id: randomUUID(), msg_type: type, session, username, date, version: PROTOCOL_VERSION };
  }

  #sign(parts: readonly Uint8Array[]): string {
    if (!this.key) return '';
    const hmac = createHmac('sha256', this.key);
    for (const part of parts) hmac.update(part);
    return hmac.digest('hex');
  }

  #verified(signature: string, parts: readonly Uint8Array[]): boolean {
    if (!this.key) return true;
    const expected = Buffer.from(this.#sign(parts));
    const received = Buffer.from(signature);
    return received.length === expected.length && timingSafeEqual(received, expected);
  }

  #replayed(signature: string): boolean {
    // Half of its bytes identify it. The hexadecimal text would take three times the memory.
    const digest = Buffer.from(signature, 'hex').toString('latin1', 0, 16);
    if (this.#seen.has(digest)) return true;
    this.#seen.add(digest);
    if (this.#seen.size > REMEMBERED_SIGNATURES) {
      const [oldest] = this.#seen;
      this.#seen.delete(oldest!);
    }
    return false;
  }
}

export function isDropped(result: Message | Dropped): result is Dropped {
  return 'dropped' in result;
}

/**
 * `value` as JSON that every front end can store. Half of a surrogate pair (`'👍'.slice(0, 1)`) becomes U+FFFD, as
 * when Node prints it: UTF-8 cannot encode it, and a notebook that holds one cannot be saved.
 */
function jsonText(value: unknown): string {
  const text = JSON.stringify(value); // escapes such halves, and no pairs
  return text.includes('\\ud') ? text.replace(/\\(u.{4}|.)/gs, wellFormedEscape) : text;
}

function wellFormedEscape(escaped: string): string {
  return escaped.startsWith('\\ud') ? '\ufffd' : escaped;
}

function parseObject(frame: Uint8Array): Json | undefined {
  const value: unknown = attempt(() => JSON.parse(Buffer.from(frame).toString()));
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

function isHeader(header: Json): header is Json & Header {
  return [header.msg_id, header.msg_type, header.session].every((field) => typeof field === 'string');
}
