/** How a reader moves through volumes: what gestures, keys and buttons change of the view. */
import type { VolumesBundle } from '../../../../src/volumes-bundle';
import type { Places } from '../drawing/places';
import { actedOn, firstView, type View } from '../view';
import type { Point } from '../voxels/affine';
import type { Gestures } from './gestures';

/** What the reader acts on. */
interface Seen {
  now(): {
    readonly bundle: VolumesBundle;
    readonly view: View;
    /** Where the pictures lie; undefined while nothing is drawn. */
    readonly places: Places | undefined;
  };
  /** Takes a change of the view over and draws it. */
  change(change: Partial<View>): void;
  /** The pointer is over another voxel. */
  point(): void;
}

export class Navigation implements Gestures {
  /** Where the pointer is over the pictures. */
  pointer: readonly [x: number, y: number] | undefined;

  constructor(private readonly seen: Seen) {}

  hover(x: number | undefined, y: number): void {
    this.pointer = x === undefined ? undefined : [x, y];
    this.seen.point();
  }

  /** Of the slices as they are drawn now: the wheel changes them below a pointer that rests. */
  voxelUnderPointer(): Point | undefined {
    return this.pointer && this.seen.now().places?.voxelAt(...this.pointer);
  }

  place(x: number, y: number): void {
    const { places } = this.seen.now();
    const plane = places?.tileAt(x, y)?.plane;
    const at = places?.nearestVoxelAt(x, y);
    if (!at || !plane || plane === 'rendering') return;
    this.pointer = undefined; // the words are those of the crosshair
    this.seen.change({ at, plane, isRenderingActive: false });
  }

  scroll(x: number, y: number, steps: number): void {
    const plane = this.seen.now().places?.tileAt(x, y)?.plane;
    if (plane === 'rendering') this.#zoomRendering(1.1 ** steps);
    else if (plane) {
      this.seen.change({ plane, isRenderingActive: false });
      this.#step(steps);
    }
  }

  window(x: number, y: number, right: number, down: number): void {
    const { bundle, view, places } = this.seen.now();
    if (places?.tileAt(x, y)?.contents.some(({ shows }) => shows === 'difference')) {
      this.seen.change({ differenceLimit: view.differenceLimit * Math.exp(right / 200) });
      return;
    }
    const [low, high] = view.window;
    const [first] = bundle.windows;
    const scale = first ? (first.high - first.low) / 400 : (high - low) / 400;
    const width = Math.max(scale, high - low + right * scale);
    const level = (low + high) / 2 + down * scale;
    this.seen.change({ window: [level - width / 2, level + width / 2], preset: undefined });
  }

  move(x: number, y: number, right: number, down: number): void {
    const { view, places } = this.seen.now();
    const pan = view.pan[3] === 1 ? undefined : places?.dragged(view.pan, [x, y], right, down);
    if (pan) this.seen.change({ pan });
  }

  turn(right: number, down: number): void {
    const { azimuth, elevation, zoom } = this.seen.now().view.turn;
    const next = Math.max(-90, Math.min(90, elevation + down / 2));
    const turn = { azimuth: (azimuth + right / 2) % 360, elevation: next, zoom };
    this.seen.change({ turn, isRenderingActive: true });
  }

  /** At a place of the pictures, or without one at the crosshair of what the keys act on. */
  zoom(factor: number, at?: readonly [x: number, y: number]): void {
    const { view, places } = this.seen.now();
    const picture = at ? places?.tileAt(...at)?.plane : actedOn(this.seen.now().bundle, view);
    if (picture === 'rendering') this.#zoomRendering(factor);
    else {
      const fraction = at ? places?.fractionAt(...at) : places?.fractionOf(view.at);
      const zoom = Math.max(1, Math.min(20, view.pan[3] * factor));
      if (fraction) this.seen.change({ pan: places!.zoomed(view.pan, fraction, zoom) });
    }
  }

  enlarge(x: number, y: number): void {
    const { bundle, view, places } = this.seen.now();
    const plane = places?.tileAt(x, y)?.plane;
    if (bundle.kind === 'comparison' || !plane || plane === 'rendering') return;
    this.seen.change({ arrangement: view.arrangement === plane ? 'planes' : plane });
  }

  isRendering(x: number, y: number): boolean {
    return this.seen.now().places?.tileAt(x, y)?.plane === 'rendering';
  }

  press(key: string): boolean {
    const { bundle, view } = this.seen.now();
    const letter = key.toLowerCase();
    const [steps, turn] = [STEPS[key], TURNS[key]];
    if (actedOn(bundle, view) === 'rendering' && (steps !== undefined || turn)) {
      if (turn) this.turn(...turn);
    } else if (steps !== undefined) this.#step(steps);
    else if (letter === 'r') this.reset();
    else if (key === '+' || key === '=') this.zoom(1.25);
    else if (key === '-') this.zoom(1 / 1.25);
    else if (bundle.kind === 'comparison' && ['a', 'b', ' '].includes(letter)) {
      const isSecond = letter === ' ' ? view.comparing === 'flicker' && !view.showsSecond : letter === 'b';
      this.seen.change({ comparing: 'flicker', showsSecond: isSecond });
    } else return false;
    return true;
  }

  reset(): void {
    const { at, window, preset, pan, turn, differenceLimit } = firstView(this.seen.now().bundle);
    this.seen.change({ at, window, preset, pan, turn, differenceLimit });
  }

  #step(steps: number): void {
    const { bundle, view, places } = this.seen.now();
    const plane = actedOn(bundle, view);
    if (places && plane !== 'rendering') this.seen.change({ at: places.stepped(view.at, plane, steps) });
  }

  #zoomRendering(factor: number): void {
    const { turn } = this.seen.now().view;
    const zoom = Math.max(0.3, Math.min(5, turn.zoom * factor));
    this.seen.change({ turn: { ...turn, zoom }, isRenderingActive: true });
  }
}

/** Slices that a key goes on. */
const STEPS: Readonly<Record<string, number>> = {
  ...{ ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 },
  ...{ PageUp: 10, PageDown: -10, Home: 1e6, End: -1e6 },
};
/** By how many pixels of a drag a key turns the 3D rendering. */
const TURNS: Readonly<Record<string, readonly [right: number, down: number]>> = {
  ...{ ArrowUp: [0, -20], ArrowRight: [20, 0], ArrowDown: [0, 20], ArrowLeft: [-20, 0] },
};

export const HELP =
  'wheel or arrow keys for slices, drag for the crosshair, drag with the right button for the window, ' +
  'Ctrl and wheel to zoom, drag with Shift to move, double click for one plane; keys act on the framed picture';
