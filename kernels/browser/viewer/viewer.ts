/** One viewer: pictures of the volumes of a bundle, linked by one crosshair and one window. */
import type { VolumesBundle } from '../../../src/volumes-bundle';
import { listen } from './controls/gestures';
import { HELP, Navigation } from './controls/navigation';
import { makeToolbar, type Toolbar } from './controls/toolbar';
import { isSameSpace } from './drawing/box-image';
import { Drawing } from './drawing/drawing';
import type { Painter } from './drawing/painter';
import type { Places } from './drawing/places';
import { Screen } from './drawing/screen';
import { type Tile, tilesOf } from './drawing/tiles';
import type { KernelToPage, PageToKernel, VolumesOpened } from './messages';
import { Overlay } from './overlay';
import { watchSight } from './sight';
import { addStyle } from './style';
import { firstView, type View, viewAfter } from './view';
import { apply, type Point } from './voxels/affine';
import { Levels } from './voxels/levels';
import { isWellInside, mostVoxels, sizeOfRegion } from './voxels/limits';
import { type Hidden, hide, unhide } from './voxels/memory';
import { placeWords, resolutionWords, wordsOf } from './words';

/** A way to the kernel that made the volumes. */
export type Connect = (
  opened: VolumesOpened,
  onMessage: (message: KernelToPage, buffers: readonly ArrayBuffer[]) => void,
  onLost: () => void,
) => { send(message: PageToKernel): unknown; close(): void };

const HEIGHT = { volume: 520, comparison: 560 } as const;
/** A bundle that took another's place asks its kernel after so long: while a slider moves, the next one comes before. */
const STAY_MS = 250;

export class Viewer implements Hidden {
  #bundle: VolumesBundle;
  /** The bundle that is to be shown next. */
  #next: VolumesBundle | undefined;
  readonly #heading = document.createElement('div');
  readonly #picture = document.createElement('div');
  #view: View;
  #levels: Levels;
  readonly #screen: Screen;
  readonly #drawing = new Drawing(() => this.#drawSoon());
  readonly #navigation: Navigation;
  readonly #overlay: Overlay;
  #toolbar: Toolbar;
  readonly #over = new AbortController();
  readonly #unwatch: () => void;
  readonly #resize: ResizeObserver;
  #link: ReturnType<Connect> | undefined;
  #tiles: readonly Tile[] = [];
  #places: Places | undefined;
  #frame: number | undefined;
  #connecting: ReturnType<typeof setTimeout> | undefined;
  /** The last place around which full resolution was asked for. */
  #asked: Point | undefined;
  #trouble = '';

  constructor(
    private readonly node: HTMLElement,
    bundle: VolumesBundle,
    private readonly connect?: Connect,
  ) {
    addStyle();
    const picture = this.#picture;
    picture.className = 'picture';
    picture.tabIndex = 0;
    picture.style.height = `${HEIGHT[bundle.kind]}px`;
    picture.setAttribute('role', 'application');
    this.#bundle = bundle;
    this.#view = firstView(bundle);
    this.#levels = new Levels(bundle);
    this.#screen = new Screen(picture, {
      space: () => this.#bundle.volumes[0]!,
      prepare: () => this.#levels.read(),
      begin: (painter) => this.#begin(painter),
      draw: () => this.#draw(),
      drawSoon: () => this.#drawSoon(),
      fail: (error) => {
        this.#trouble = `The volumes cannot be drawn: ${wordsOf(error)}`;
        this.#show();
      },
    });
    this.#navigation = new Navigation({
      now: () => ({
        ...{ bundle: this.#bundle, view: this.#view },
        places: this.#screen.painter && this.#places,
      }),
      change: (change) => this.#change(change),
      point: () => this.#show(),
    });
    this.#toolbar = this.#makeToolbar();
    this.#overlay = new Overlay(picture, (divider) => this.#change({ divider }));
    this.#heading.className = 'heading';
    this.#entitle();
    node.classList.add('patchwise-viewer');
    node.dataset.lmSuppressShortcuts = 'true'; // JupyterLab's keys A and B insert cells
    node.replaceChildren(this.#heading, this.#toolbar.node, picture, this.#overlay.status);
    listen(picture, this.#navigation, this.#over.signal);
    this.#resize = new ResizeObserver(() => this.#drawSoon());
    this.#resize.observe(picture);
    this.#show();
    // What is in sight has a context.
    this.#unwatch = watchSight(node, (isInSight) => {
      const wasDrawn = this.#screen.painter !== undefined;
      if (isInSight) unhide(this);
      this.#screen.enter(isInSight);
      if (!isInSight && wasDrawn) hide(this);
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
    if (!isSameSpace(before.volumes[0]!, bundle.volumes[0]!)) this.#screen.leave(); // the last picture stands in its place
    this.#link?.close();
    this.#link = undefined;
    this.#asked = undefined;
    this.#navigation.pointer = undefined;
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
    if (this.#screen.painter) {
      this.#connectSoon();
      this.#draw();
    } else {
      this.#show();
      await this.#screen.open();
    }
  }

  dispose(): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#unwatch();
    this.#resize.disconnect();
    clearTimeout(this.#connecting);
    if (this.#frame) cancelAnimationFrame(this.#frame);
    unhide(this);
    this.#link?.close();
    this.#drawing.dispose();
    this.#screen.dispose();
    this.node.replaceChildren();
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

  #begin(painter: Painter): void {
    this.#trouble = '';
    if (this.#next) this.#connectSoon();
    else this.#connect(painter.gl);
    this.node.classList.add('drawn'); // a report that is printed has a still picture for those that are not
  }

  #connectSoon(): void {
    clearTimeout(this.#connecting);
    this.#connecting = setTimeout(() => {
      const { painter } = this.#screen;
      if (painter) this.#connect(painter.gl);
    }, STAY_MS);
  }

  #connect(gl: WebGL2RenderingContext): void {
    const { id, volumes } = this.#bundle;
    if (this.#link || !this.connect || id === undefined) return;
    const levels = this.#levels;
    const longest = gl.getParameter(gl.MAX_3D_TEXTURE_SIZE) as number;
    levels.ask();
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
      if (levels === this.#levels) this.#trouble = `A part of the volumes did not come: ${wordsOf(error)}`;
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
    const [space] = this.#bundle.volumes as [VolumesBundle['volumes'][number]];
    const part = shown[0]?.part;
    if (part && isWellInside(part, apply(space.affine, at))) return;
    this.#asked = at;
    this.#link?.send({ type: 'region', at, size: sizeOfRegion(space.shape) });
  }

  #makeToolbar(): Toolbar {
    const toolbar = makeToolbar(this.#bundle, {
      change: (change) => this.#change(change),
      zoom: (factor) => this.#navigation.zoom(factor),
      reset: () => this.#navigation.reset(),
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

  #draw(): void {
    const { painter } = this.#screen;
    const { shown } = this.#levels;
    const { clientWidth, clientHeight } = this.#picture;
    this.#tiles = tilesOf(this.#bundle, this.#view, clientWidth, clientHeight);
    if (painter?.canvas && shown.length > 0) {
      this.#screen.fit(painter.canvas);
      this.#places = this.#drawing.draw(painter, this.#bundle, this.#view, shown, this.#tiles);
      this.#screen.keepSoon(() => this.#askForRegion());
    }
    this.#show();
  }

  /** Shows the state beside the pictures: controls, labels, words. */
  #show(): void {
    const bundle = this.#bundle;
    this.#toolbar.show(this.#view);
    const slices = new Map(this.#tiles.map((tile) => [tile, this.#sliceWords(tile)]));
    this.#overlay.show(bundle, this.#view, this.#tiles, slices);
    const place = placeWords(bundle, this.#levels, this.#navigation.voxelUnderPointer() ?? this.#view.at);
    this.#overlay.say(this.#trouble || place, resolutionWords(bundle, this.#levels));
  }

  #sliceWords({ plane }: Tile): string {
    if (plane === 'rendering' || !this.#places) return '';
    const { axis } = this.#places.axisThrough(plane);
    return `${this.#view.at[axis]} / ${this.#bundle.volumes[0]!.shape[axis] - 1}`;
  }
}

/** Of what the controls tell. */
function controlsOf({ volumes, windows, units }: VolumesBundle): string {
  return JSON.stringify([volumes.map(({ name }) => name), windows, units]);
}
