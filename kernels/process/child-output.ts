/**
 * What does not pass through `process.stdout`: children that inherit it, `fs.writeSync(1)`, native code. A pipe of our
 * own takes the place of file descriptor 1, and its other end is read by the thread that sends on iopub. Descriptor 2
 * stays as it is: V8 and native code write their last words there, and a pipe into the dying process would lose them.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const STDOUT = 1;

/**
 * Puts a pipe in the place of stdout. Call it before anything else opens files: the lowest free number is taken.
 * Returns the descriptor to read from; undefined if no pipe can be made: there are none on Windows, and a disk may be
 * full.
 */
export function pipeStdout(): number | undefined {
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(tmpdir(), 'patchwise-stdout-'));
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', ['-m', '600', path], { stdio: 'ignore' });
    void process.stdout; // Node's own stream is made of what stdout was: made of the pipe, it would not block
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    closeSync(STDOUT);
    if (openSync(path, constants.O_WRONLY) !== STDOUT) throw new Error('descriptor 1 was taken meanwhile');
    return reader;
  } catch {
    return undefined;
  } finally {
    if (folder) rmSync(folder, { recursive: true, force: true }); // the pipe lives as long as it is open
  }
}

/** As many as a pipe holds. */
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
