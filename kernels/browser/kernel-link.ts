import type { JupyterComm, JupyterSession } from './jupyter';

/** How long to wait for the first word of the kernel before asking again; it may have been restarting. */
const PATIENCE_MS = 5000;
/** How often the kernel hears that this page is still there. */
const ALIVE_MS = 10_000;

export type KernelData = Record<string, unknown> & { readonly type?: string };
/** @param isFirst the kernel has said nothing before on this comm, and the page nothing at all */
type Listener = (data: KernelData, buffers: readonly ArrayBuffer[], isFirst: boolean) => void;

/**
 * A comm from one output to the notebook's kernel: opened when the output is first drawn, and again when the kernel has
 * restarted or the connection came back. What the notebook saves is only the last picture.
 */
export class KernelLink {
  #comm: JupyterComm | undefined;
  #kernel: unknown;
  #heard = false;
  #over = false;
  #doubt: ReturnType<typeof setTimeout> | undefined;
  #pulse: ReturnType<typeof setInterval> | undefined;
  readonly #reopen = (): void => void this.#open();
  readonly #onStatus = (): void => this.#followStatus();

  /**
   * @param target the kernel's part that answers
   * @param named what the comm is opened with, such as `{ id }`
   * @param onMessage hears every message; `error` is the last
   * @param onLost hears that the kernel or the connection to it is gone, as long as the link may come back
   */
  constructor(
    private readonly session: JupyterSession,
    private readonly target: string,
    private readonly named: object,
    private readonly onMessage: Listener,
    private readonly onLost: () => void = () => {},
  ) {
    session.kernelChanged.connect(this.#reopen);
    session.statusChanged.connect(this.#onStatus);
    session.connectionStatusChanged.connect(this.#onStatus);
    this.#reopen();
  }

  /** Whether the kernel has answered on this comm. */
  get connected(): boolean {
    return this.#comm !== undefined && !this.#comm.isDisposed && this.#heard;
  }

  /** Says something to the kernel; false if it is not connected. */
  send(data: object, buffers: readonly ArrayBuffer[] = []): boolean {
    if (!this.connected) return false;
    this.#comm!.send(data, {}, buffers);
    return true;
  }

  close(): void {
    this.#over = true;
    this.session.kernelChanged.disconnect(this.#reopen);
    this.session.statusChanged.disconnect(this.#onStatus);
    this.session.connectionStatusChanged.disconnect(this.#onStatus);
    clearTimeout(this.#doubt);
    clearInterval(this.#pulse);
    this.#drop();
  }

  #followStatus(): void {
    const kernel = this.session.session?.kernel;
    if (kernel?.connectionStatus !== 'connected') {
      this.onLost();
      return;
    }
    if (['restarting', 'autorestarting', 'starting'].includes(kernel.status)) {
      this.#comm = undefined; // the restarted kernel knows nothing of the comms before
      this.onLost();
    } else if (!this.#comm || this.#comm.isDisposed) this.#reopen();
  }

  async #open(): Promise<void> {
    if (this.#over) return;
    await this.session.ready;
    const kernel = this.session.session?.kernel;
    if (!kernel || this.#over || (this.#kernel === kernel && this.#comm && !this.#comm.isDisposed)) return;
    this.#kernel = kernel;
    this.#heard = false;
    const comm = kernel.createComm(this.target);
    this.#comm = comm;
    comm.onMsg = ({ content: { data }, buffers = [] }) => {
      if (this.#comm !== comm) return;
      const isFirst = !this.#heard;
      this.#heard = true;
      this.onMessage(data, buffers.map(toArrayBuffer), isFirst);
      if (data.type === 'error') this.close();
    };
    comm.onClose = () => {
      if (this.#comm !== comm) return;
      this.#comm = undefined;
      this.onLost();
      if (this.#heard) this.#reopen(); // the kernel took us for gone; one that has never answered is not ours
    };
    comm.open(this.named);
    clearTimeout(this.#doubt);
    this.#doubt = setTimeout(() => {
      if (this.#comm !== comm || this.#heard) return;
      this.#drop();
      this.#reopen();
    }, PATIENCE_MS);
    clearInterval(this.#pulse);
    this.#pulse = setInterval(() => this.send({ type: 'alive' }), ALIVE_MS);
  }

  #drop(): void {
    const comm = this.#comm;
    this.#comm = undefined;
    try {
      if (comm && !comm.isDisposed) comm.close();
    } catch {
      // The kernel is gone, and the comm with it.
    }
  }
}

function toArrayBuffer(buffer: ArrayBuffer | DataView): ArrayBuffer {
  if (buffer instanceof ArrayBuffer) return buffer;
  return buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength) as ArrayBuffer;
}
