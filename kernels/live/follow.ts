/** What a live figure follows: one run or several. */
import type { Figure } from '../../src/index';

/** Points that a line got since the last tick. */
export interface NewPoints {
  readonly x: number[];
  readonly y: (number | null)[];
}

/** What viewers learn at a tick: the whole figure, and by line what is new in it. */
export interface Tick {
  readonly figure: Figure;
  readonly added: ReadonlyMap<string, NewPoints>;
  /** More than lines has changed: new points alone are not enough. */
  readonly isNew: boolean;
  readonly ended: boolean;
}

export type Viewer = (tick: Tick) => void;

export interface Followed {
  readonly ended: boolean;
  figure(): Figure;
  view(viewer: Viewer): void;
  leave(viewer: Viewer): void;
}
