/** Comms: named two-way channels between code in the kernel and the front end, with binary buffers. */
import { randomUUID } from 'node:crypto';
import type { Json, Message } from './wire';

interface CommMessage {
  readonly data: Json;
  readonly metadata: Json;
  readonly buffers: readonly Uint8Array[];
}

/** Hidden pages speak once a minute. */
const SILENCE_MS = 150_000;

/** One open channel. After `close`, from either side, sending does nothing. */
export class Comm {
  #onMessage: (message: CommMessage) => void = () => {};
  #onClose: (data: Json) => void = () => {};
  #open = true;
  #heard = performance.now();

  constructor(
    readonly id: string,
    readonly target: string,
    private readonly registry: CommRegistry,
  ) {}

  get open(): boolean {
    return this.#open;
  }

  /** Whether the page is gone: a reload closes no comm, and a page that is there says something now and then. */
  get isSilent(): boolean {
    return performance.now() - this.#heard > SILENCE_MS;
  }

  send(data: Json, buffers: readonly Uint8Array[] = []): void {
    if (this.#open) this.registry.publish('comm_msg', { comm_id: this.id, data }, buffers);
  }

  onMessage(listener: (message: CommMessage) => void): void {
    this.#onMessage = listener;
  }

  /** `listener` hears that the front end closed the comm, or that its page is gone. */
  onClose(listener: (data: Json) => void): void {
    this.#onClose = listener;
  }

  close(data: Json = {}): void {
    if (!this.#open) return;
    this.registry.publish('comm_close', { comm_id: this.id, data }, []);
    this.#open = false;
    this.registry.forget(this);
  }

  /** For the registry: a message of the front end. */
  receive(message: CommMessage): void {
    this.#heard = performance.now();
    this.#onMessage(message);
  }

  /** For the registry: the front end closed the comm. */
  closed(data: Json): void {
    this.#open = false;
    this.#onClose(data);
  }
}

type CommTarget = (comm: Comm, message: CommMessage) => void;
type PublishComm = (type: string, content: Json, buffers: readonly Uint8Array[]) => void;

export class CommRegistry {
  readonly #targets = new Map<string, CommTarget>();
  readonly #comms = new Map<string, Comm>();

  constructor(readonly publish: PublishComm) {}

  /** `open` is called for each comm that the front end opens to `target`. */
  register(target: string, open: CommTarget): void {
    this.#targets.set(target, open);
  }

  unregister(target: string): void {
    this.#targets.delete(target);
  }

  /** Opens a comm from the kernel's side. */
  open(target: string, data: Json = {}, buffers: readonly Uint8Array[] = []): Comm {
    const comm = new Comm(randomUUID().replaceAll('-', ''), target, this);
    this.#comms.set(comm.id, comm);
    this.publish('comm_open', { comm_id: comm.id, target_name: target, data }, buffers);
    return comm;
  }

  forget(comm: Comm): void {
    this.#comms.delete(comm.id);
  }

  /** The open comms as comm_info_reply lists them, of one target or of all. */
  info(target?: string): Json {
    const comms = [...this.#comms.values()].filter((comm) => !target || comm.target === target);
    return Object.fromEntries(comms.map((comm) => [comm.id, { target_name: comm.target }]));
  }

  handleOpen(message: Message): void {
    const [id, name] = [String(message.content.comm_id), String(message.content.target_name)];
    const target = this.#targets.get(name);
    // The specification demands it for an unknown target. An open comm of the same id stays.
    if (!target) {
      this.publish('comm_close', { comm_id: id, data: {} }, []);
      return;
    }
    const comm = new Comm(id, name, this);
    this.#comms.set(id, comm);
    target(comm, commMessage(message));
  }

  handleMessage(message: Message): void {
    this.#comms.get(String(message.content.comm_id))?.receive(commMessage(message));
  }

  handleClose(message: Message): void {
    const id = String(message.content.comm_id);
    const comm = this.#comms.get(id);
    this.#comms.delete(id);
    comm?.closed(commMessage(message).data);
  }
}

function commMessage({ content, metadata, buffers }: Message): CommMessage {
  const data = typeof content.data === 'object' && content.data !== null ? (content.data as Json) : {};
  return { data, metadata, buffers };
}
