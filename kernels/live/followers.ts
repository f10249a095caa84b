/**
 * What live figures follow: one run or several. Any number of viewers cost one reader of a run's folder. A run that has
 * ended may be resumed, by whoever has its folder: its follower looks at its status as long as somebody views it.
 */
import { type Figure, type LatestSlices, type MetricRecord, Run, type RunStatus } from '../../src/index';
import { appendRecord, type RunOfLine, type Series, seriesFigure, thin, titleOf } from '../../src/internal';

/** What viewers learn at a tick: the whole figure, and by line the points that are new in it. */
export interface Tick {
  readonly figure: Figure;
  readonly added: ReadonlyMap<string, Pick<Series, 'x' | 'y'>>;
  /** The pictures changed too, so new points of lines do not suffice. */
  readonly isNew: boolean;
  /** No more comes, unless the run is resumed. */
  readonly ended: boolean;
}

type Viewer = (tick: Tick) => void;
export type Followed = Pick<RunFollower, 'ended' | 'figure' | 'view' | 'leave'>;

/** Between two ticks: a person sees it as movement, and a slow connection carries it. */
const TICK_MS = 300;
/** Points of a line in memory: more than any figure shows. */
const MOST_KEPT = 5000;
const STATUS_MS = 1000;

export class RunFollower {
  readonly run: Run;
  #lines = new Map<string, Series>();
  readonly #viewers = new Set<Viewer>();
  readonly #abort = new AbortController();
  #added = new Map<string, Pick<Series, 'x' | 'y'>>();
  #status: RunStatus | undefined;
  #failure: string | undefined;
  #slices: LatestSlices | undefined;
  #isNew = false;
  #changed = false;
  #ended = false;
  /** Hears of every status that is read. */
  #onStatus: (status: RunStatus) => void = () => {};
  #ticks: NodeJS.Timeout | undefined;
  #statuses: NodeJS.Timeout | undefined;

  /**
   * @param onIdle called when the last viewer has left, and the follower stops
   * @param among which run it is, if a figure shows several
   */
  constructor(
    run: Pick<Run, 'dir'>,
    private readonly onIdle: () => void,
    private readonly among?: RunOfLine,
  ) {
    this.run = new Run(run.dir); // the notebook's own copy of the library may be an older one
  }

  get series(): readonly Series[] {
    return [...this.#lines.values()];
  }

  get status(): RunStatus | undefined {
    return this.#status;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Reads the run so far. After that `figure()` is up to date, and new records are followed. */
  async start(): Promise<void> {
    this.#ticks = setInterval(() => this.#tick(), TICK_MS).unref();
    this.#statuses = setInterval(() => void this.#readStatus(), STATUS_MS).unref();
    await new Promise<void>((caughtUp) => void this.#followAll(caughtUp));
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

  /** Follows the run to its end, and again if it is resumed. @param caughtUp as of `#follow`, for the first time */
  async #followAll(caughtUp: () => void): Promise<void> {
    const { signal } = this.#abort;
    for (let whenRead = caughtUp; !signal.aborted; whenRead = () => this.#tick()) {
      await this.#follow(whenRead);
      await this.#readStatus();
      this.#ended = true;
      this.#changed = true;
      this.#tick();
      if (this.#failure) return this.#stop();
      const { state } = this.#status ?? {};
      await new Promise<void>((resumed) => {
        this.#onStatus = (status) => {
          if (status.state === state) return;
          this.#onStatus = () => {};
          this.#ended = false;
          resumed();
        };
      });
    }
  }

  /** @param caughtUp called once all records so far have been read, or cannot be */
  async #follow(caughtUp: () => void): Promise<void> {
    // A run that is resumed may have lost the records after its checkpoint. The lines before stay until all is read.
    let past: Map<string, Series> | undefined = new Map();
    const endPast = (): void => {
      if (!past) return;
      if (this.#lines.size > 0) this.#isNew = true;
      this.#lines = past;
      this.#added = new Map();
      this.#changed = true;
      past = undefined;
      caughtUp();
    };
    const { signal } = this.#abort;
    try {
      for await (const record of this.run.metrics({ signal, caughtUp: endPast })) {
        this.#append(record, past);
        if (!past && record.split === 'validation') await this.#readSlices();
      }
    } catch (error) {
      if (!signal.aborted) this.#failure = (error as Error).message; // the folder is gone
    } finally {
      endPast();
    }
  }

  /** Adds a record to its lines, whose length stays bounded however long the run is. */
  #append(record: MetricRecord, past: Map<string, Series> | undefined): void {
    const lines = past ?? this.#lines;
    for (const { key, x, y } of appendRecord(lines, record, this.among)) {
      thin(lines.get(key)!, MOST_KEPT);
      if (past) continue;
      const line = this.#added.get(key) ?? { x: [], y: [] };
      line.x.push(x);
      line.y.push(y);
      this.#added.set(key, line);
      this.#changed = true;
    }
  }

  async #readStatus(): Promise<void> {
    try {
      const status = await this.run.status();
      if (status.state !== this.#status?.state || status.step !== this.#status.step) this.#changed = true;
      this.#status = status;
      this.#onStatus(status);
    } catch {
      // The run has only just been made, or its folder is going away: the last status stays.
    }
  }

  /** The pictures of the latest validation; a figure of several runs has no room for them. */
  async #readSlices(): Promise<void> {
    if (this.among) return;
    const slices = await this.run.slices();
    if (slices?.step === this.#slices?.step) return;
    this.#slices = slices;
    this.#isNew = true;
    this.#changed = true;
  }

  #tick(): void {
    if (!this.#changed) return;
    const tick: Tick = { figure: this.figure(), added: this.#added, isNew: this.#isNew, ended: this.#ended };
    this.#isNew = this.#changed = false;
    this.#added = new Map();
    for (const viewer of [...this.#viewers]) viewer(tick);
  }

  #stop(): void {
    if (this.#abort.signal.aborted) return;
    clearInterval(this.#ticks);
    clearInterval(this.#statuses);
    this.#abort.abort();
    this.onIdle();
  }
}

/** Several runs in one figure. Their lines carry the number of their run. */
export class GroupFollower implements Followed {
  /** By viewer, its listener at each of the followers. */
  readonly #listeners = new Map<Viewer, Viewer[]>();

  /** @param followers one for each run, made with the number of its run */
  constructor(private readonly followers: readonly RunFollower[]) {}

  get ended(): boolean {
    return this.followers.every(({ ended }) => ended);
  }

  figure(): Figure {
    const series = this.followers.flatMap(({ series }) => series);
    return seriesFigure(series, this.#status(), { title: titleOf(this.followers.map(({ run }) => run)) });
  }

  view(viewer: Viewer): void {
    const listeners = this.followers.map(
      (): Viewer => (tick) => viewer({ ...tick, figure: this.figure(), ended: this.ended }),
    );
    for (const [at, follower] of this.followers.entries()) follower.view(listeners[at]!);
    this.#listeners.set(viewer, listeners);
  }

  leave(viewer: Viewer): void {
    const listeners = this.#listeners.get(viewer) ?? [];
    this.#listeners.delete(viewer);
    for (const [at, listener] of listeners.entries()) this.followers[at]!.leave(listener);
  }

  /** Running while any run is; the furthest step of all. */
  #status(): { state: string; step: number; steps: number } | undefined {
    const statuses = this.followers.flatMap(({ status }): RunStatus[] => (status ? [status] : []));
    if (statuses.length === 0) return undefined;
    const { state } = statuses.find((status) => status.state === 'running') ?? statuses[0]!;
    const furthest = (of: (status: RunStatus) => number): number => Math.max(...statuses.map(of));
    return { state, step: furthest(({ step }) => step), steps: furthest(({ steps }) => steps) };
  }
}
