/**
 * Text in memory that two threads see: one appends to it, the other takes it. What a cell prints reaches the sending
 * thread so, also while the cell keeps its own thread busy.
 */

const BYTES = 1 << 13;
const HEADER_BYTES = Int32Array.BYTES_PER_ELEMENT;
/** Stands in the place of the length once the text has been taken: nothing may be appended any more. */
const TAKEN = -1;

const encoder = new TextEncoder();

export class SharedText {
  readonly #length: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(readonly memory = new SharedArrayBuffer(HEADER_BYTES + BYTES)) {
    this.#length = new Int32Array(memory, 0, 1);
    this.#bytes = new Uint8Array(memory, HEADER_BYTES);
  }

  /** Appends all of `text`. Returns false, and appends nothing, if there is no room or the text has been taken. */
  append(text: string): boolean {
    const length = Atomics.load(this.#length, 0);
    if (length === TAKEN || text.length > BYTES - length) return false;
    const { read, written } = encoder.encodeInto(text, this.#bytes.subarray(length));
    if (read < text.length) return false;
    return Atomics.compareExchange(this.#length, 0, length, length + written) === length;
  }

  /** All that was appended; afterwards `append` returns false. */
  take(): string {
    const length = Atomics.exchange(this.#length, 0, TAKEN);
    return length > 0 ? Buffer.from(this.memory, HEADER_BYTES, length).toString() : '';
  }
}
