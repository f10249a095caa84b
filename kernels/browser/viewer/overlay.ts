/** What lies over the pictures as text, and the status line below them. */
import type { VolumesBundle } from '../../../src/volumes-bundle';
import { differenceBar } from './drawing/difference-colours';
import { edgesOf } from './drawing/planes';
import { legendBox, type Tile } from './drawing/tiles';
import { actedOn, type View } from './view';
import { short } from './words';

export class Overlay {
  readonly status = document.createElement('div');
  readonly #place = document.createElement('output');
  readonly #state = document.createElement('output');
  readonly #tiles: HTMLElement[] = [];
  readonly #legend = document.createElement('div');
  readonly #divider = document.createElement('button');

  /** @param onDivide hears where the line of swipe was dragged to, from 0 to 1 */
  constructor(
    private readonly picture: HTMLElement,
    onDivide: (divider: number) => void,
  ) {
    this.status.className = 'status';
    this.#place.className = 'place';
    this.#state.className = 'state';
    this.status.append(this.#place, this.#state);
    this.#legend.className = 'legend';
    this.#legend.innerHTML =
      '<div class="bar"></div><div class="ends"><span></span><span>0</span><span></span></div><div class="what"></div>';
    const divider = this.#divider;
    divider.type = 'button';
    divider.className = 'divider';
    divider.title = 'Drag to swipe between A and B (or arrow keys)';
    divider.setAttribute('aria-label', divider.title);
    picture.append(this.#legend, divider);
    const divide = (clientX: number): void => {
      const { left, width } = picture.getBoundingClientRect();
      onDivide(Math.max(0, Math.min(1, (clientX - left) / width)));
    };
    divider.addEventListener('pointerdown', (event) => divider.setPointerCapture(event.pointerId));
    divider.addEventListener('pointermove', (event) => {
      if (divider.hasPointerCapture(event.pointerId)) divide(event.clientX);
    });
    divider.addEventListener('keydown', ({ key }) => {
      const step = key === 'ArrowLeft' ? -0.02 : key === 'ArrowRight' ? 0.02 : 0;
      if (step !== 0) onDivide(Math.max(0, Math.min(1, Number.parseFloat(divider.style.left) / 100 + step)));
    });
  }

  say(place: string, state: string): void {
    if (this.#place.textContent !== place) this.#place.textContent = place;
    if (this.#state.textContent !== state) this.#state.textContent = state;
  }

  show(bundle: VolumesBundle, view: View, tiles: readonly Tile[], slices: ReadonlyMap<Tile, string>): void {
    while (this.#tiles.length > tiles.length) this.#tiles.pop()!.remove();
    while (this.#tiles.length < tiles.length) this.#tiles.push(this.#newTile());
    const active = tiles.length > 1 && bundle.kind === 'volume' ? actedOn(bundle, view) : undefined;
    for (const [at, tile] of tiles.entries()) {
      fill(this.#tiles[at]!, tile, slices.get(tile) ?? '');
      this.#tiles[at]!.classList.toggle('active', tile.plane === active);
    }
    this.#divider.hidden = view.comparing !== 'swipe';
    this.#divider.style.left = `${100 * view.divider}%`;
    this.#showLegend(bundle, view, tiles);
    this.status.classList.toggle('many', bundle.volumes.length > 2);
  }

  #newTile(): HTMLElement {
    const node = document.createElement('div');
    node.className = 'tile';
    for (const name of ['name', 'second', 'slice', 'left', 'right', 'top', 'bottom']) {
      const span = document.createElement('span');
      span.className = name;
      node.append(span);
    }
    this.picture.append(node);
    return node;
  }

  /** The colours of differences: below the reference, where differences stand beside it, or over the picture. */
  #showLegend({ kind, units, volumes, clip }: VolumesBundle, view: View, tiles: readonly Tile[]): void {
    const isSide = view.comparing === 'side';
    this.#legend.hidden = kind !== 'comparison' || !(isSide || view.hasOverlay) || tiles.length === 0;
    if (this.#legend.hidden) return;
    for (const [name, value] of Object.entries(legendBox(tiles)))
      this.#legend.style.setProperty(name, `${Math.max(0, value)}px`);
    this.#legend.querySelector<HTMLElement>('.bar')!.style.background = differenceBar(
      isSide ? undefined : view.differenceOpacity,
    );
    const [low, , high] = this.#legend.querySelectorAll('span');
    low!.textContent = `−${short(view.differenceLimit)}`;
    high!.textContent = `+${short(view.differenceLimit)}`;
    const clipped = clip ? `, values within ${short(clip[0])} to ${short(clip[1])}` : '';
    this.#legend.querySelector('.what')!.textContent =
      `difference from ${volumes[0]!.name}${units && ` in ${units}`}${clipped}`;
  }
}

function fill(node: HTMLElement, tile: Tile, slice: string): void {
  for (const side of ['left', 'top', 'width', 'height'] as const) node.style[side] = `${tile[side]}px`;
  const letters = tile.plane === 'rendering' ? undefined : edgesOf[tile.plane];
  const texts: Record<string, string> = {
    name: tile.label,
    second: tile.second ?? '',
    slice,
    ...(letters ?? { left: '', right: '', top: '', bottom: '' }),
  };
  for (const span of node.children) span.textContent = texts[span.className] ?? '';
}
