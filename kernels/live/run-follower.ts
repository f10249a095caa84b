/** Follows one run and gathers what is new, so that any number of viewers cost one reader of its folder. */
import { type Figure, type LatestSlices, type MetricRecord, Run, type RunStatus } from '../../src/index';
import { appendRecord, type RunOfLine, type Series, seriesFigure, thin } from '../../src/internal';
import type { Followed, NewPoints, Tick, Viewer } from './follow';

/** Between two ticks; within what a person sees as moving and what a slow connection carries. */
const TICK_MS = 300;
/** Points of a line in memory: more than any figure shows. */
const MOST_KEPT = 5000;
const STATUS_MS = 1000;

export class RunFollower implements Followed {
  readonly #lines = new Map<string, Series>();
  readonly #viewers = new Set<Viewer>();
  readonly #abort = new AbortController();
  #added = new Map<string, NewPoints>();
  #status: RunStatus | undefined;
  #failure: string | undefined;
  #slices: LatestSlices | undefined;
  #isNew = false;
  #changed = false;
  #ended = false;
  #ticks: NodeJS.Timeout | undefined;
  #statuses: NodeJS.Timeout | undefined;

  /**
   * @param onIdle called when the last viewer has left or the run has ended: nothing is followed any more
   * @param among which run it is, where a figure shows several
   */
  constructor(
    readonly run: Run,
    private readonly onIdle: () => void,
    private readonly among?: RunOfLine,
  ) {}

  get series(): readonly Series[] {
    return [...this.#lines.values()];
  }

  get status(): RunStatus | undefined {
    return this.#status;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Reads what there is; then `figure()` is up to date and new records come in by themselves. */
  async start(): Promise<void> {
    this.#ticks = setInterval(() => this.#tick(), TICK_MS).unref();
    this.#statuses = setInterval(() => void this.#readStatus(), STATUS_MS).unref();
    await new Promise<void>((caughtUp) => void this.#follow(caughtUp));
    await this.#readSlices();
    await this.#readStatus();
  }

  figure(): Figure {
    const status = this.#failure ? { ...this.#status, state: 'lost', error: this.#failure } : this.#status;
    return seriesFigure(this.series, status, { title: this.run.id, slices: this.#slices });
  }

  view(viewer: Viewer): void {
    this.#viewers.add(viewer);
  }

  leave(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size === 0) this.#stop();
  }

  /** @param caughtUp called when all records of the past have been read, or never will be */
  async #follow(caughtUp: () => void): Promise<void> {
    let isPast = true;
    const endPast = (): void => {
      isPast = false;
      caughtUp();
    };
    const { signal } = this.#abort;
    try {
      // A notebook's own copy of the library may be an older one, which does not say when it has caught up.
      for await (const record of new Run(this.run.dir).metrics({ signal, caughtUp: endPast })) {
        const added = this.#append(record);
        if (isPast) continue;
        this.#take(added);
        if (record.split === 'validation') await this.#readSlices();
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#failure = (error as Error).message; // the folder is gone
    } finally {
      endPast();
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

  /** Adds a record to its lines, which stay of bounded length however long the run is. */
  #append(record: MetricRecord): ReturnType<typeof appendRecord> {
    const added = appendRecord(this.#lines, record, this.among);
    for (const { key } of added) thin(this.#lines.get(key)!, MOST_KEPT);
    return added;
  }

  /** The pictures of the latest validation; a figure of several runs has no room for them. */
  async #readSlices(): Promise<void> {
    if (this.among) return;
    const slices = await this.run.slices?.(); // a notebook's own copy of the library may be an older one
    if (slices?.step === this.#slices?.step) return;
    this.#slices = slices;
    this.#isNew = true;
    this.#changed = true;
  }

  #tick(): void {
    if (!this.#changed) return;
    const tick: Tick = { figure: this.figure(), added: this.#added, isNew: this.#isNew, ended: this.#ended };
    this.#isNew = false;
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
