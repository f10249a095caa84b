/** Several runs in one figure: the followers of the single runs, their lines told apart by the number of the run. */
import type { RunStatus } from '../../src/index';
import { type Series, seriesFigure, titleOf } from '../../src/internal';
import type { Followed, Tick, Viewer } from './follow';
import type { RunFollower } from './run-follower';

export class GroupFollower implements Followed {
  /** By viewer, what it listens to at each of the followers. */
  readonly #listeners = new Map<Viewer, Viewer[]>();

  /** @param followers of the runs, each made with the number of its run */
  constructor(private readonly followers: readonly RunFollower[]) {}

  get ended(): boolean {
    return this.followers.every(({ ended }) => ended);
  }

  figure(): ReturnType<Followed['figure']> {
    const series: Series[] = this.followers.flatMap(({ series }) => series);
    return seriesFigure(series, this.#status(), { title: titleOf(this.followers.map(({ run }) => run)) });
  }

  view(viewer: Viewer): void {
    const listeners = this.followers.map((follower): Viewer => {
      const listener = ({ added, isNew }: Tick): void =>
        viewer({ figure: this.figure(), added, isNew, ended: this.ended });
      if (!follower.ended) follower.view(listener);
      return listener;
    });
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
    const state = statuses.find((status) => status.state === 'running') ?? statuses[0]!;
    const furthest = (of: (status: RunStatus) => number): number => Math.max(...statuses.map(of));
    return { state: state.state, step: furthest(({ step }) => step), steps: furthest(({ steps }) => steps) };
  }
}
