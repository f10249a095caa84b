/**
 * A file that a command writes as a whole: whoever reads it meanwhile sees the old one or the new one. Links are
 * followed. Devices and pipes are written into, never replaced. `NotebookSaver` writes a notebook to it while it runs.
 */
import { constants } from 'node:fs';
import { access, lstat, mkdtemp, readlink, realpath, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { replaceFile } from '../../src/atomic-file';
import { InvalidArgument } from '../../src/index';
import { makeFolder } from '../../src/make-folder';
import { type Notebook, notebookText } from './notebook';

export const STDOUT = '/dev/stdout';
const NAMES_OF_STDOUT = [STDOUT, '/dev/fd/1', '/proc/self/fd/1'];

export class OutputFile {
  private constructor(
    readonly path: string,
    /** What `path` leads to. */
    private readonly target: string,
    private readonly way: 'replace' | 'in place' | 'stream',
    private readonly mode: number | undefined,
  ) {}

  /** Finds out whether `path` can be written, before any work is done for it. @throws the system's error, or InvalidArgument for a folder */
  static async open(path: string): Promise<OutputFile> {
    if (isStdout(path)) return new OutputFile(path, path, 'stream', undefined);
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return undefined;
    });
    if (found?.isDirectory()) throw new InvalidArgument('output', 'a file', `the folder ${path}`);
    if (found) await access(path, constants.W_OK);
    if (found && (!found.isFile() || /^\/(dev|proc)\//.test(resolve(path))))
      return new OutputFile(path, path, 'stream', undefined);
    const target = await followLinks(resolve(path));
    try {
      makeFolder(dirname(target));
      await rmdir(await mkdtemp(join(dirname(target), '.patchwise-')));
    } catch (error) {
      // A single file of a container is there to be written, though nothing may be made beside it.
      if (found) return new OutputFile(path, target, 'in place', undefined);
      throw error;
    }
    return new OutputFile(path, target, 'replace', found && found.mode & 0o777);
  }

  /** True for a device or a pipe: what was written once cannot be written over. */
  get isStream(): boolean {
    return this.way === 'stream';
  }

  async write(text: string): Promise<void> {
    if (isStdout(this.path)) return writeToStdout(text);
    if (this.way !== 'replace') return writeFile(this.target, text);
    try {
      replaceFile(this.target, text, { mode: this.mode });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
      await writeFile(this.target, text); // a mount point cannot be replaced
    }
  }
}

/** True for the names by which a process calls its own stdout. */
export function isStdout(path: string): boolean {
  return NAMES_OF_STDOUT.includes(path);
}

/** Where `path` leads, also if there is no file yet at the end of its links. */
async function followLinks(path: string): Promise<string> {
  const known = await realpath(path).catch(() => undefined);
  if (known !== undefined) return known;
  const link = await lstat(path).catch(() => undefined);
  return link?.isSymbolicLink() ? followLinks(resolve(dirname(path), await readlink(path))) : path;
}

/** Through the stream: a socket, which another program may have given us, cannot be opened by its name. */
function writeToStdout(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

/** What a run of hours may lose of the output of its present cell. */
const SAVE_EVERY_MS = 10_000;
/** Saving takes at most this part of the time. */
const SHARE = 1 / 20;

/** Keeps the file of a running notebook up to date, so what ran is there however the run ends. */
export class NotebookSaver {
  #timer: NodeJS.Timeout | undefined;
  #tookMs = 0;
  #saving: Promise<void> = Promise.resolve();

  /** @param onFailure hears of a save that failed before the last one */
  constructor(
    private readonly file: OutputFile,
    private readonly notebook: Notebook,
    private readonly onFailure: (error: Error) => void,
  ) {}

  /** Saves soon. */
  changed(): void {
    this.#timer ??= setTimeout(() => void this.save(), Math.max(SAVE_EVERY_MS, this.#tookMs / SHARE));
  }

  /** Saves now, if the file can be written more than once. Never rejects: the next save may succeed. */
  async save(): Promise<void> {
    if (!this.file.isStream) await this.#write().catch(this.onFailure);
  }

  /** Saves for the last time. @throws the system's error */
  async finish(): Promise<void> {
    await this.#write();
    clearTimeout(this.#timer);
  }

  #write(): Promise<void> {
    const written = this.#saving.then(async () => {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      const begun = performance.now();
      await this.file.write(notebookText(this.notebook));
      this.#tookMs = performance.now() - begun;
    });
    this.#saving = written.catch(() => {});
    return written;
  }
}
