/** One viewer: pictures of the volumes of a bundle, linked by one crosshair and one window. */
import type { VolumesBundle } from '../../../src/volumes-bundle';
import { apply, compose, invert, type Point } from './affine';
import type { Space } from './box-image';
import { type Gestures, listen } from './gestures';
import { Levels } from './levels';
import { isWellInside, mostVoxels, sizeOfRegion } from './limits';
import { type Hidden, hide, unhide } from './memory';
import type { KernelToPage, PageToKernel, VolumesOpened } from './messages';
import { Overlay } from './overlay';
import { Painter, type Placed } from './painter';
import { axesOf, type Plane } from './planes';
import { watchSight } from './sight';
import { addStyle } from './style';
import { type Tile, tilesOf } from './tiles';
import { makeToolbar, type Toolbar } from './toolbar';
import { firstView, isSameSpace, type View, viewAfter } from './view';
import { placeWords, resolutionWords } from './words';

/** A way to the kernel that made the volumes. */
export type Connect = (
  opened: VolumesOpened,
  onMessage: (message: KernelToPage, buffers: readonly ArrayBuffer[]) => void,
  onLost: () => void,
) => { send(message: PageToKernel): unknown; close(): void };

const HEIGHT = { volume: 520, comparison: 560 } as const;
/** The picture is kept so long after the last change, for when the context is taken away. */
const REST_MS = 400;
/** A bundle that took another's place asks its kernel after so long: while a slider moves, the next one comes before. */
const STAY_MS = 250;
/** A window that did not change for so long is taken over into 3D. */
const SETTLE_MS = 250;

export class Viewer implements Gestures, Hidden {
  #bundle: VolumesBundle;
  /** The bundle that is to be shown next. */
  #next: VolumesBundle | undefined;
  readonly #heading = document.createElement('div');
  readonly #picture = document.createElement('div');
  /** The last picture, for when there is no context. */
  readonly #still = document.createElement('canvas');
  #levels: Levels;
  readonly #overlay: Overlay;
  #toolbar: Toolbar;
  readonly #over = new AbortController();
  readonly #unwatch: () => void;
  readonly #resize: ResizeObserver;
  #view: View;
  #painter: Painter | undefined;
  #isInSight = false;
  #isOpening = false;
  #link: ReturnType<Connect> | undefined;
  #tiles: readonly Tile[] = [];
  #placed = new Map<Tile, Placed>();
  #frame: number | undefined;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #return: ReturnType<typeof setTimeout> | undefined;
  /** How often the browser took the context away since the viewer came into sight. */
  #losses = 0;
  #preparing: ReturnType<typeof setTimeout> | undefined;
  #connecting: ReturnType<typeof setTimeout> | undefined;
  /** The last place around which full resolution was asked for. */
  #asked: Point | undefined;
  #hovered: Point | undefined;
  #trouble = '';

  constructor(
    private readonly node: HTMLElement,
    bundle: VolumesBundle,
    private readonly connect?: Connect,
  ) {
    addStyle();
    this.#bundle = bundle;
    this.#view = firstView(bundle);
    this.#levels = new Levels(bundle);
    this.#toolbar = this.#makeToolbar();
    const picture = this.#picture;
    picture.className = 'picture';
    picture.tabIndex = 0;
    picture.style.height = `${HEIGHT[bundle.kind]}px`;
    picture.setAttribute('role', 'application');
    picture.append(this.#still);
    this.#overlay = new Overlay(picture, (divider) => this.#change({ divider }));
    this.#heading.className = 'heading';
    this.#entitle();
    node.classList.add('patchwise-viewer');
    node.dataset.lmSuppressShortcuts = 'true'; // JupyterLab's keys A and B insert cells
    node.replaceChildren(this.#heading, this.#toolbar.node, picture, this.#overlay.status);
    listen(picture, this, this.#over.signal);
    this.#resize = new ResizeObserver(() => this.#drawSoon());
    this.#resize.observe(picture);
    this.#show();
    this.#unwatch = watchSight(node, (isInSight) => {
      this.#isInSight = isInSight;
      this.#losses = 0;
      if (isInSight) void this.#open();
      else this.#close();
    });
  }

  /**
   * Shows another bundle of the same kind in this place. The picture stays until the next one can be drawn, and so does what
   * the reader chose. Of several that come in a row, the last is shown.
   */
  async show(bundle: VolumesBundle): Promise<void> {
    this.#next = bundle;
    const levels = new Levels(bundle);
    await levels.read();
    if (this.#next !== bundle || this.#over.signal.aborted) return;
    const before = this.#bundle;
    if (!isSameSpace(before, bundle)) this.#close(); // the last picture stands in its place
    this.#link?.close();
    this.#link = undefined;
    this.#asked = undefined;
    this.#hovered = undefined;
    this.#trouble = '';
    this.#view = viewAfter(this.#view, before, bundle);
    this.#bundle = bundle;
    this.#levels = levels;
    if (controlsOf(before) !== controlsOf(bundle)) {
      const { node } = this.#toolbar;
      this.#toolbar = this.#makeToolbar();
      node.replaceWith(this.#toolbar.node);
    }
    this.#entitle();
    if (this.#painter) {
      this.#connectSoon();
      this.#draw();
    } else {
      this.#show();
      if (this.#isWanted) await this.#open();
    }
  }

  dispose(): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#unwatch();
    this.#resize.disconnect();
    clearTimeout(this.#rest);
    clearTimeout(this.#preparing);
    clearTimeout(this.#return);
    clearTimeout(this.#connecting);
    if (this.#frame) cancelAnimationFrame(this.#frame);
    unhide(this);
    this.#link?.close();
    this.#painter?.free();
    this.#painter = undefined;
    this.node.replaceChildren();
  }

  // What is in sight has a context.

  async #open(): Promise<void> {
    if (this.#painter || this.#isOpening) return;
    this.#isOpening = true;
    let isLate = false;
    unhide(this);
    try {
      const bundle = this.#bundle;
      await this.#levels.read();
      if (!this.#isWanted) return;
      const canvas = document.createElement('canvas');
      canvas.style.visibility = 'hidden'; // the last picture stays until there is a new one
      this.#still.after(canvas);
      this.#fit(canvas);
      canvas.addEventListener('webglcontextlost', (event) => {
        event.preventDefault();
        if (this.#painter?.canvas !== canvas) return;
        this.#lose();
        // A page with many viewers, or a graphics card in trouble: not at once again, and ever more slowly.
        this.#return = setTimeout(() => this.#isWanted && void this.#open(), 1000 * 2 ** this.#losses++);
      });
      const painter = await Painter.on(canvas, this.#space, () => this.#drawSoon()).catch(
        (error: unknown) => {
          canvas.remove();
          throw error;
        },
      );
      isLate = !isSameSpace(bundle, this.#bundle); // another took its place meanwhile
      if (!this.#isWanted || isLate || painter.gl.isContextLost()) {
        painter.free();
        canvas.remove();
        return;
      }
      this.#painter = painter;
      this.#trouble = '';
      if (this.#next) this.#connectSoon();
      else this.#connect(painter.gl);
      this.#draw();
      this.node.classList.add('drawn'); // a report that is printed has a still picture for those that are not
      canvas.style.visibility = '';
    } catch (error) {
      this.#trouble = `The volumes cannot be drawn: ${error instanceof Error ? error.message : error}`;
      this.#show();
    } finally {
      this.#isOpening = false;
      if (isLate) void this.#open();
    }
  }

  get bytes(): number {
    return this.#levels.bytes;
  }

  /** Out of sight only: what came is asked for again when the viewer is back. */
  forget(): void {
    this.#link?.close();
    this.#link = undefined;
    this.#levels.forget();
  }

  get #isWanted(): boolean {
    return this.#isInSight && !this.#over.signal.aborted;
  }

  #close(): void {
    if (!this.#painter) return;
    this.#keepStill();
    this.#lose();
    hide(this);
  }

  #lose(): void {
    const painter = this.#painter;
    this.#painter = undefined;
    clearTimeout(this.#rest);
    painter?.free();
    painter?.canvas?.remove();
  }

  /** Copies the picture to where no context is needed. */
  #keepStill(): void {
    const canvas = this.#painter?.canvas;
    if (!canvas) return;
    this.#draw(); // a canvas of WebGL has its picture until the browser has shown it
    this.#still.width = canvas.width;
    this.#still.height = canvas.height;
    this.#still.getContext('2d')!.drawImage(canvas, 0, 0);
    clearTimeout(this.#rest);
    this.#askForRegion();
  }

  // What the kernel sends.

  #connectSoon(): void {
    clearTimeout(this.#connecting);
    this.#connecting = setTimeout(() => {
      if (this.#painter) this.#connect(this.#painter.gl);
    }, STAY_MS);
  }

  #connect(gl: WebGL2RenderingContext): void {
    const { id, volumes } = this.#bundle;
    if (this.#link || !this.connect || id === undefined) return;
    const levels = this.#levels;
    const longest = gl.getParameter(gl.MAX_3D_TEXTURE_SIZE) as number;
    this.#link = this.connect(
      { id, most: Math.floor(mostVoxels() / volumes.length), longest },
      (message, buffers) => void this.#hear(levels, message, buffers),
      () => {
        levels.lose();
        this.#show();
      },
    );
  }

  async #hear(levels: Levels, message: KernelToPage, buffers: readonly ArrayBuffer[]): Promise<void> {
    try {
      await levels.hear(message, buffers);
    } catch (error) {
      if (levels === this.#levels)
        this.#trouble = `A part of the volumes did not come: ${error instanceof Error ? error.message : error}`;
    }
    if (levels !== this.#levels) return; // of a bundle that was shown before
    if (message.type === 'chunk') this.#link?.send({ type: 'got' });
    const { supply, isFull } = levels;
    if (supply === 'gone' || (supply === 'complete' && isFull)) this.#link?.close(); // nothing more will come
    this.#drawSoon();
  }

  /** Asks for full resolution around a crosshair that rests, where the whole volume does not fit. */
  #askForRegion(): void {
    const { supply, isFull, shown } = this.#levels;
    const { at } = this.#view;
    if (supply !== 'complete' || isFull || this.#asked === at) return;
    const part = shown[0]?.part;
    if (part && isWellInside(part, apply(this.#space.affine, at))) return;
    this.#asked = at;
    this.#link?.send({ type: 'region', at, size: sizeOfRegion(this.#shape) });
  }

  // What is drawn.

  #makeToolbar(): Toolbar {
    const toolbar = makeToolbar(this.#bundle, {
      change: (change) => this.#change(change),
      zoom: (factor) => this.#zoomBy(factor),
      reset: () => this.#reset(),
    });
    // After a click on a button the keys go on to act on the pictures. Who uses the keyboard stays at the button.
    toolbar.node.addEventListener('click', ({ target, detail }) => {
      if (detail > 0 && target instanceof HTMLButtonElement) this.#picture.focus({ preventScroll: true });
    });
    return toolbar;
  }

  #entitle(): void {
    const { title } = this.#bundle;
    this.#heading.textContent = title;
    this.#picture.setAttribute('aria-label', `${title}: ${HELP}`);
  }

  #change(change: Partial<View>): void {
    Object.assign(this.#view, change);
    this.#drawSoon();
  }

  #drawSoon(): void {
    if (this.#frame || this.#over.signal.aborted) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#draw();
    });
  }

  #fit(canvas: HTMLCanvasElement): void {
    const pixel = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.#picture.clientWidth * pixel));
    const height = Math.max(1, Math.round(this.#picture.clientHeight * pixel));
    if (canvas.width === width && canvas.height === height) return;
    canvas.width = width;
    canvas.height = height;
  }

  #draw(): void {
    const painter = this.#painter;
    const view = this.#view;
    this.#tiles = tilesOf(this.#bundle, view, this.#picture.clientWidth, this.#picture.clientHeight);
    this.#placed.clear();
    if (painter?.canvas && this.#levels.shown.length > 0) {
      this.#fit(painter.canvas);
      const { shown } = this.#levels;
      painter.keepOnly(new Set(shown.flatMap(({ whole, part }) => (part ? [whole, part] : [whole]))));
      painter.scene.pan2Dxyzmm = view.pan as unknown as typeof painter.scene.pan2Dxyzmm;
      painter.clear();
      for (const tile of this.#tiles) this.#drawTile(painter, tile);
      clearTimeout(this.#rest);
      this.#rest = setTimeout(() => this.#keepStill(), REST_MS);
    }
    this.#show();
  }

  #drawTile(painter: Painter, tile: Tile): void {
    const pixel = window.devicePixelRatio || 1;
    const box = {
      left: Math.round(tile.left * pixel),
      top: Math.round(tile.top * pixel),
      width: Math.round(tile.width * pixel),
      height: Math.round(tile.height * pixel),
    };
    const { shown } = this.#levels;
    const view = this.#view;
    if (tile.plane === 'rendering') {
      if (!painter.hasRendering(shown[0]!.whole, view.window)) this.#prepareRendering();
      if (painter.isRendered) painter.drawRendering(box, view.turn);
      return;
    }
    for (const { shows, volume, columns } of tile.contents) {
      const placed = painter.drawSlice(
        box,
        {
          plane: tile.plane,
          shows,
          shown: shown[volume]!,
          reference: shown[0]!,
          window: view.window,
          clip: this.#bundle.clip ?? [-1e9, 1e9],
          differenceLimit: view.differenceLimit,
          differenceOpacity: view.differenceOpacity,
          columns: [box.left + columns[0] * box.width, box.left + columns[1] * box.width],
        },
        apply(invert(this.#voxelOfFraction(painter)), view.at),
      );
      this.#placed.set(tile, placed);
    }
  }

  /** The 3D rendering follows the window and the volume once they rest: it takes a while. */
  #prepareRendering(): void {
    clearTimeout(this.#preparing);
    const prepare = async (): Promise<void> => {
      const [first] = this.#levels.shown;
      if (!first || !this.#painter) return;
      await this.#painter.prepareRendering(this.#space, first.whole, this.#view.window);
      this.#drawSoon();
    };
    this.#preparing = setTimeout(() => void prepare(), this.#painter?.isRendered ? SETTLE_MS : 0);
  }

  /** Shows the state beside the picture: controls, labels, words. */
  #show(): void {
    this.#toolbar.show(this.#view);
    const place = this.#trouble || placeWords(this.#bundle, this.#levels, this.#hovered ?? this.#view.at);
    const slices = new Map(this.#tiles.map((tile) => [tile, this.#sliceWords(tile)]));
    this.#overlay.show(this.#bundle, this.#view, this.#tiles, slices);
    this.#overlay.say(place, resolutionWords(this.#bundle, this.#levels));
  }

  #sliceWords({ plane }: Tile): string {
    if (plane === 'rendering' || !this.#painter) return '';
    const { axis } = this.#axisThrough(this.#painter, plane);
    return `${this.#view.at[axis]} / ${this.#shape[axis] - 1}`;
  }

  // Places.

  /** All volumes lie in the space of the first. */
  get #space(): Space {
    return this.#bundle.volumes[0]!;
  }

  get #shape(): Point {
    return this.#space.shape;
  }

  #voxelOfFraction(painter: Painter): number[] {
    return compose(invert(this.#space.affine), painter.worldOfFraction);
  }

  /** The voxel axis that a plane is cut across, and whether it runs to the right, anterior or superior. */
  #axisThrough(painter: Painter, plane: Plane): { axis: 0 | 1 | 2; sign: number } {
    const map = this.#voxelOfFraction(painter);
    const along = (axis: number): number => map[4 * axis + axesOf[plane].through]!;
    const axis = ([0, 1, 2] as const).reduce((a, b) => (Math.abs(along(b)) > Math.abs(along(a)) ? b : a));
    return { axis, sign: Math.sign(along(axis)) };
  }

  #tileAt(x: number, y: number): Tile | undefined {
    return this.#tiles.find(
      ({ left, top, width, height }) => x >= left && x < left + width && y >= top && y < top + height,
    );
  }

  /** The fraction of the volume's box at a place of the picture. */
  #fractionAt(x: number, y: number): Point | undefined {
    const tile = this.#tileAt(x, y);
    const placed = tile && this.#placed.get(tile);
    const pixel = window.devicePixelRatio || 1;
    return placed && this.#painter?.fractionAt(placed, x * pixel, y * pixel);
  }

  #voxelAt(x: number, y: number): Point | undefined {
    const fraction = this.#fractionAt(x, y);
    if (!fraction || !this.#painter) return undefined;
    const voxel = apply(this.#voxelOfFraction(this.#painter), fraction).map(Math.round);
    return voxel.every((at, axis) => at >= 0 && at < this.#shape[axis]!)
      ? (voxel as unknown as Point)
      : undefined;
  }

  #step(plane: Plane, steps: number): void {
    if (!this.#painter) return;
    const { axis, sign } = this.#axisThrough(this.#painter, plane);
    const at = [...this.#view.at] as [number, number, number];
    at[axis] = Math.max(0, Math.min(this.#shape[axis] - 1, at[axis] + sign * steps));
    this.#change({ at });
  }

  #zoomBy(factor: number): void {
    if (!this.#painter) return;
    this.#zoomTo(apply(invert(this.#voxelOfFraction(this.#painter)), this.#view.at), factor);
  }

  #zoomTo(fraction: Point, factor: number): void {
    const { pan } = this.#view;
    const zoom = Math.max(1, Math.min(20, pan[3] * factor));
    this.#change({ pan: zoom === 1 ? [0, 0, 0, 1] : this.#painter!.zoomed(pan, fraction, zoom) });
  }

  #reset(): void {
    const { at, window, preset, pan, turn, differenceLimit } = firstView(this.#bundle);
    this.#change({ at, window, preset, pan, turn, differenceLimit });
  }

  // Gestures.

  hover(x: number | undefined, y: number): void {
    this.#hovered = x === undefined ? undefined : this.#voxelAt(x, y);
    this.#show();
  }

  place(x: number, y: number): void {
    const tile = this.#tileAt(x, y);
    const fraction = this.#fractionAt(x, y);
    if (!tile || tile.plane === 'rendering' || !fraction || !this.#painter) return;
    const voxel = apply(this.#voxelOfFraction(this.#painter), fraction);
    const inside = voxel.map((at, axis) => Math.max(0, Math.min(this.#shape[axis]! - 1, Math.round(at))));
    this.#hovered = undefined;
    this.#change({ at: inside as unknown as Point, plane: tile.plane });
  }

  scroll(x: number, y: number, steps: number): void {
    const plane = this.#tileAt(x, y)?.plane;
    if (!plane) return;
    if (plane === 'rendering') {
      const { turn } = this.#view;
      this.#change({ turn: { ...turn, zoom: Math.max(0.3, Math.min(5, turn.zoom * 1.1 ** steps)) } });
      return;
    }
    this.#view.plane = plane;
    this.#step(plane, steps);
    this.#hovered = this.#voxelAt(x, y);
  }

  window(x: number, y: number, right: number, down: number): void {
    const tile = this.#tileAt(x, y);
    if (tile?.contents.some(({ shows }) => shows === 'difference')) {
      const { differenceLimit } = this.#view;
      this.#change({ differenceLimit: differenceLimit * Math.exp(right / 200) });
      return;
    }
    const [low, high] = this.#view.window;
    const [first] = this.#bundle.windows;
    const scale = first ? (first.high - first.low) / 400 : (high - low) / 400;
    const width = Math.max(scale, high - low + right * scale);
    const level = (low + high) / 2 + down * scale;
    this.#change({ window: [level - width / 2, level + width / 2], preset: undefined });
  }

  move(x: number, y: number, right: number, down: number): void {
    const tile = this.#tileAt(x, y);
    const placed = tile && this.#placed.get(tile);
    if (!placed || this.#view.pan[3] === 1) return;
    const { across, up } = axesOf[placed.plane];
    const pixel = window.devicePixelRatio || 1;
    const pan = [...this.#view.pan] as View['pan'];
    pan[across] += (right * pixel * placed.across * pan[3]) / placed.box.width;
    pan[up] -= (down * pixel * placed.up * pan[3]) / placed.box.height;
    this.#change({ pan });
  }

  turn(right: number, down: number): void {
    const { azimuth, elevation, zoom } = this.#view.turn;
    const next = Math.max(-90, Math.min(90, elevation + down / 2));
    this.#change({ turn: { azimuth: (azimuth + right / 2) % 360, elevation: next, zoom } });
  }

  zoom(x: number, y: number, factor: number): void {
    const fraction = this.#fractionAt(x, y);
    if (fraction && this.#painter) this.#zoomTo(fraction, factor);
  }

  enlarge(x: number, y: number): void {
    const plane = this.#tileAt(x, y)?.plane;
    if (this.#bundle.kind === 'comparison' || !plane) return;
    const isAlone = this.#tiles.length === 1;
    this.#change({ arrangement: isAlone ? 'planes' : plane });
  }

  isRendering(x: number, y: number): boolean {
    return this.#tileAt(x, y)?.plane === 'rendering';
  }

  press(key: string): boolean {
    const { arrangement, plane, comparing, showsSecond } = this.#view;
    const scrolled =
      this.#bundle.kind === 'volume' && arrangement !== 'planes' && arrangement !== 'rendering'
        ? arrangement
        : plane;
    const steps = STEPS[key];
    const letter = key.toLowerCase();
    if (steps !== undefined) this.#step(scrolled, steps);
    else if (letter === 'r') this.#reset();
    else if (key === '+' || key === '=') this.#zoomBy(1.25);
    else if (key === '-') this.#zoomBy(1 / 1.25);
    else if (this.#bundle.kind === 'comparison' && ['a', 'b', ' '].includes(letter)) {
      const isSecond = letter === ' ' ? comparing === 'flicker' && !showsSecond : letter === 'b';
      this.#change({ comparing: 'flicker', showsSecond: isSecond });
    } else return false;
    return true;
  }
}

/** Of what the controls tell. */
function controlsOf({ volumes, windows, units }: VolumesBundle): string {
  return JSON.stringify([volumes.map(({ name }) => name), windows, units]);
}

const STEPS: Readonly<Record<string, number>> = {
  ...{ ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 },
  ...{ PageUp: 10, PageDown: -10, Home: 1e6, End: -1e6 },
};

const HELP =
  'wheel or arrow keys for slices, drag for the crosshair, drag with the right button for the window, ' +
  'Ctrl and wheel to zoom, drag with Shift to move, double click for one plane';
