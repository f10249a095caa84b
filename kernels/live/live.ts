/**
 * Live figures: a run's metric stream in a cell. Front ends with our extension open a comm to `patchwise.live` and get
 * a whole figure, then only what is new, three times a second; all others, and the saved notebook, see the same
 * display replaced once a second. Both go on for as long as the run does, whichever cell runs meanwhile, and again if a run
 * that has ended is resumed.
 *
 * Messages to the front end: `{type: 'figure', figure: {data, layout}}`, `{type: 'points', points: {uid: {x, y}},
 * layout?}`, `{type: 'ended'}`, `{type: 'error', message}`. From it: the comm's `{dir, id}` or `{runs: [{dir, id}]}`, then
 * `{type: 'alive'}` now and then, and `{type: 'figure'}` to ask for a whole figure again.
 */
import type { AsyncResource } from 'node:async_hooks';
import type { MimeBundle } from '../../src/display-protocol';
import { attach, type Figure, type Run } from '../../src/index';
import { figureBundle } from '../../src/internal';
import type { DisplayOptions } from '../display/displays';
import type { Comm } from '../protocol/comms';
import type { Json } from '../protocol/wire';
import { type Followed, GroupFollower, RunFollower, type Tick } from './followers';

/** A line that has grown by more than this since the last whole figure is sent again, thinned. */
const MOST_POINTS = 1000;
const DISPLAY_MS = 1000;

/** What live figures need of the kernel. */
interface LiveOutlet {
  display(bundle: MimeBundle, options: DisplayOptions): void;
}

export class LiveFigures {
  readonly #followers = new Map<string, Promise<Followed>>();
  #displays = 0;

  /**
   * @param outside made outside of every cell: updates belong to none, so the kernel sends them with the cell that
   * runs at that time, where clients that listen to nothing else (nbclient) hear them
   */
  constructor(
    private readonly outlet: LiveOutlet,
    private readonly outside: AsyncResource,
  ) {}

  /** Shows runs in the running cell and keeps that display up to date. */
  async show(runs: readonly Run[], options: DisplayOptions = {}): Promise<void> {
    const follower = await this.#follow(runs);
    const id = options.id ?? `patchwise-live-${process.pid}-${++this.#displays}`;
    const bundle = (figure: Figure): MimeBundle => figureBundle(figure, runs);
    this.outlet.display(bundle(follower.figure()), { ...options, id });

    const update = (figure: Figure): void =>
      this.outside.runInAsyncScope(() => this.outlet.display(bundle(figure), { id, update: true }));
    let waiting: Figure | undefined;
    let timer: NodeJS.Timeout | undefined;
    follower.view(({ figure, ended }) => {
      waiting = figure;
      if (ended) {
        clearTimeout(timer);
        timer = undefined;
        update(figure);
      } else {
        timer ??= setTimeout(() => {
          timer = undefined;
          if (waiting) update(waiting);
        }, DISPLAY_MS).unref();
      }
    });
  }

  /** Serves one comm of a front end. */
  async open(comm: Comm, data: Json): Promise<void> {
    let follower: Followed;
    try {
      // A notebook that was moved with its runs names a folder that is no more: the id may still be known here.
      const named = (Array.isArray(data.runs) ? data.runs : [data]) as Json[];
      const runs = await Promise.all(
        named.map(({ dir, id }) => attach(String(dir)).catch(() => attach(String(id)))),
      );
      follower = await this.#follow(runs);
    } catch (error) {
      comm.send({ type: 'error', message: (error as Error).message });
      comm.close();
      return;
    }
    if (!comm.open) return; // the page has gone meanwhile
    const stream = new FigureStream((message) => comm.send(message));
    const viewer = (tick: Tick): void => {
      if (!comm.isSilent) stream.send(tick);
      else {
        follower.leave(viewer);
        comm.close();
      }
    };
    comm.onMessage(({ data }) => {
      if (data.type === 'figure') stream.sendWhole(follower.figure());
    });
    comm.onClose(() => follower.leave(viewer));
    stream.sendWhole(follower.figure());
    if (follower.ended) comm.send({ type: 'ended' });
    follower.view(viewer);
  }

  /** The follower of the runs' folders, started where there is none. */
  #follow(runs: readonly Run[]): Promise<Followed> {
    const name = runs.map(({ dir }) => dir).join('\n');
    const known = this.#followers.get(name);
    if (known) return known;
    const forget = (): void => {
      if (this.#followers.get(name) === started) this.#followers.delete(name);
    };
    const started = this.outside.runInAsyncScope(async (): Promise<Followed> => {
      const followers = runs.map(
        (run, number) => new RunFollower(run, forget, runs.length > 1 ? { number, id: run.id } : undefined),
      );
      await Promise.all(followers.map((follower) => follower.start()));
      return followers.length === 1 ? followers[0]! : new GroupFollower(followers);
    });
    this.#followers.set(name, started);
    started.catch(forget);
    return started;
  }
}

/** What one front end has got so far, and so what it still needs. */
class FigureStream {
  #sent = new Map<string, number>();
  #layout = '';

  constructor(private readonly post: (message: Record<string, unknown>) => void) {}

  sendWhole(figure: Figure): void {
    this.#sent = new Map(figure.data.map((trace) => [String(trace.uid), 0]));
    this.#layout = JSON.stringify(figure.layout);
    this.post({ type: 'figure', figure: figure.toJSON() });
  }

  send({ figure, added, isNew, ended }: Tick): void {
    const points: Record<string, unknown> = {};
    let whole = isNew || figure.data.length !== this.#sent.size;
    for (const [key, line] of added) {
      const sent = this.#sent.get(key);
      if (sent === undefined || sent + line.x.length > MOST_POINTS) whole = true;
      this.#sent.set(key, (sent ?? 0) + line.x.length);
      points[key] = line;
    }
    if (whole || ended) this.sendWhole(figure);
    else {
      const layout = JSON.stringify(figure.layout);
      this.post({ type: 'points', points, ...(layout === this.#layout ? {} : { layout: figure.layout }) });
      this.#layout = layout;
    }
    if (ended) this.post({ type: 'ended' });
  }
}
