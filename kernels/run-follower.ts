/** Follows one run and gathers what is new, so that any number of viewers cost one reader of its folder. */
import { appendRecord, type Figure, type Run, type RunStatus, type Series, seriesFigure } from '../src/index';

/** Points that a line got since the last tick. */
export interface NewPoints {
  readonly x: number[];
  readonly y: (number | null)[];
}

/** What viewers learn at a tick: the whole figure, and by line what is new in it. */
export interface Tick {
  readonly figure: Figure;
  readonly added: ReadonlyMap<string, NewPoints>;
  readonly ended: boolean;
}

export type Viewer = (tick: Tick) => void;

/** Between two ticks; within what a person sees as moving and what a slow connection carries. */
const TICK_MS = 300;
const STATUS_MS = 1000;

export class RunFollower {
  readonly #lines = new Map<string, Series>();
  readonly #viewers = new Set<Viewer>();
  readonly #abort = new AbortController();
  #added = new Map<string, NewPoints>();
  #status: RunStatus | undefined;
  #failure: string | undefined;
  #changed = false;
  #ended = false;
  #ticks: NodeJS.Timeout | undefined;
  #statuses: NodeJS.Timeout | undefined;

  /** @param onIdle called when the last viewer has left or the run has ended: nothing is followed any more */
  constructor(
    private readonly run: Run,
    private readonly onIdle: () => void,
  ) {}

  get ended(): boolean {
    return this.#ended;
  }

  /** Reads what there is; then `figure()` is up to date and new records come in by themselves. */
  async start(): Promise<void> {
    const past = await this.run.records();
    for (const record of past) appendRecord(this.#lines, record);
    await this.#readStatus();
    void this.#follow(past.length);
    this.#ticks = setInterval(() => this.#tick(), TICK_MS).unref();
    this.#statuses = setInterval(() => void this.#readStatus(), STATUS_MS).unref();
  }

  figure(): Figure {
    const status = this.#failure ? { ...this.#status, state: 'lost', error: this.#failure } : this.#status;
    return seriesFigure([...this.#lines.values()], status, { title: this.run.id });
  }

  view(viewer: Viewer): void {
    this.#viewers.add(viewer);
  }

  leave(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size === 0) this.#stop();
  }

  async #follow(known: number): Promise<void> {
    let seen = 0;
    try {
      for await (const record of this.run.metrics({ signal: this.#abort.signal })) {
        if (seen++ >= known) this.#take(appendRecord(this.#lines, record));
      }
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#failure = (error as Error).message; // the folder is gone, or a line of it cannot be read
    }
    await this.#readStatus();
    this.#ended = true;
    this.#changed = true;
    this.#tick();
    this.#stop();
  }

  #take(points: readonly { key: string; x: number; y: number | null }[]): void {
    for (const { key, x, y } of points) {
      const line = this.#added.get(key) ?? { x: [], y: [] };
      line.x.push(x);
      line.y.push(y);
      this.#added.set(key, line);
    }
    this.#changed = true;
  }

  async #readStatus(): Promise<void> {
    try {
      const status = await this.run.status();
      if (status.state !== this.#status?.state || status.step !== this.#status.step) this.#changed = true;
      this.#status = status;
    } catch {
      // The run has only just been made, or its folder is going away: the last status stays.
    }
  }

  #tick(): void {
    if (!this.#changed) return;
    const tick: Tick = { figure: this.figure(), added: this.#added, ended: this.#ended };
    this.#added = new Map();
    this.#changed = false;
    for (const viewer of [...this.#viewers]) viewer(tick);
  }

  #stop(): void {
    clearInterval(this.#ticks);
    clearInterval(this.#statuses);
    this.#abort.abort();
    this.onIdle();
  }
}
