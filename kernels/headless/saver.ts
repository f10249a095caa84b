/** Keeps the file of a running notebook up to date, so what ran is there however the run ends. */
import { type Notebook, notebookText } from './notebook';
import type { OutputFile } from './output-file';

/** What a run of hours may lose of the output of its present cell. */
const SAVE_EVERY_MS = 10_000;
/** Saving takes at most this part of the time. */
const SHARE = 1 / 20;

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
