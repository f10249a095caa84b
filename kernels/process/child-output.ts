/**
 * Output that does not pass through `process.stdout`: of children that inherit it, `fs.writeSync(1)`, native code. A
 * pipe of ours replaces file descriptor 1, and the thread that sends on iopub reads its other end. Descriptor 2 stays:
 * V8 and native code write their last words to it, and a pipe into the dying process would lose them.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const STDOUT = 1;

/**
 * Replaces stdout by a pipe. Call it before anything else opens files, because the pipe takes the lowest free number.
 * Returns the descriptor to read from; undefined if no pipe can be made, as on Windows or a full disk.
 */
export function pipeStdout(): number | undefined {
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(tmpdir(), 'patchwise-stdout-'));
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', ['-m', '600', path], { stdio: 'ignore' });
    void process.stdout; // makes Node's own stream of the old stdout: one of the pipe would not block
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    closeSync(STDOUT);
    if (openSync(path, constants.O_WRONLY) !== STDOUT) throw new Error('descriptor 1 was taken meanwhile');
    return reader;
  } catch {
    return undefined;
  } finally {
    if (folder) rmSync(folder, { recursive: true, force: true }); // an open pipe needs no name
  }
}

/** The capacity of a pipe. */
const BYTES = 1 << 16;

export class ChildOutput {
  readonly #decoder = new TextDecoder();
  readonly #buffer = Buffer.alloc(BYTES);

  /** @param descriptor of `pipeStdout` */
  constructor(
    private readonly descriptor: number,
    private readonly print: (text: string) => void,
  ) {
    const socket = new Socket({ fd: descriptor, readable: true, writable: false });
    socket.on('data', (bytes) => this.#print(bytes));
    socket.on('error', () => {});
    socket.unref();
  }

  /** Prints what is in the pipe now. */
  drain(): void {
    try {
      this.#print(this.#buffer.subarray(0, readSync(this.descriptor, this.#buffer)));
    } catch {
      // nothing is there
    }
  }

  #print(bytes: Uint8Array): void {
    const text = this.#decoder.decode(bytes, { stream: true });
    if (text) this.print(text);
  }
}
