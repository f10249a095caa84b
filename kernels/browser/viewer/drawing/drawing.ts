/** Draws the tiles of a view. */
import type { VolumesBundle } from '../../../../src/volumes-bundle';
import type { View } from '../view';
import { apply, compose, invert } from '../voxels/affine';
import type { CopiesOf } from '../voxels/copies';
import type { Box, Painter, Placed } from './painter';
import { Places } from './places';
import type { Tile } from './tiles';

/** A window that did not change for so long is taken over into 3D. */
const SETTLE_MS = 250;
const NO_CLIP = [-1e9, 1e9] as const;

export class Drawing {
  #preparing: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly drawSoon: () => void) {}

  dispose(): void {
    clearTimeout(this.#preparing);
  }

  /** @param shown the copies of every volume of the bundle */
  draw(
    painter: Painter,
    bundle: VolumesBundle,
    view: View,
    shown: readonly CopiesOf[],
    tiles: readonly Tile[],
  ): Places {
    painter.keepOnly(new Set(shown.flatMap(({ whole, part }) => (part ? [whole, part] : [whole]))));
    painter.scene.pan2Dxyzmm = [...view.pan] as unknown as typeof painter.scene.pan2Dxyzmm;
    painter.clear();
    const space = bundle.volumes[0]!;
    const crosshair = apply(invert(compose(invert(space.affine), painter.worldOfFraction)), view.at);
    const placed = new Map<Tile, Placed>();
    for (const tile of tiles) {
      const box = boxOf(tile);
      if (tile.plane === 'rendering') {
        this.#drawRendering(painter, bundle, view, shown[0]!, box);
        continue;
      }
      for (const { shows, volume, columns } of tile.contents) {
        const { window, differenceLimit, differenceOpacity } = view;
        const slice = {
          ...{ plane: tile.plane, shows, shown: shown[volume]!, reference: shown[0]!, window },
          ...{ clip: bundle.clip ?? NO_CLIP, differenceLimit, differenceOpacity },
          columns: [box.left + columns[0] * box.width, box.left + columns[1] * box.width] as const,
        };
        placed.set(tile, painter.drawSlice(box, slice, crosshair));
      }
    }
    return new Places(painter, space, tiles, placed);
  }

  #drawRendering(painter: Painter, bundle: VolumesBundle, view: View, first: CopiesOf, box: Box): void {
    if (!painter.hasRendering(first.whole, view.window)) this.#prepareRendering(painter, bundle, view, first);
    if (painter.isRendered) painter.drawRendering(box, view.turn);
  }

  /** The 3D rendering follows the window and the volume once they rest: it takes a while. */
  #prepareRendering(
    painter: Painter,
    { volumes }: VolumesBundle,
    { window }: View,
    { whole }: CopiesOf,
  ): void {
    clearTimeout(this.#preparing);
    const prepare = async (): Promise<void> => {
      if (painter.gl.isContextLost()) return;
      await painter.prepareRendering(volumes[0]!, whole, window);
      this.drawSoon();
    };
    this.#preparing = setTimeout(() => void prepare(), painter.isRendered ? SETTLE_MS : 0);
  }
}

/** In pixels of the canvas. */
function boxOf({ left, top, width, height }: Tile): Box {
  const [a, b, c, d] = [left, top, width, height].map((size) =>
    Math.round(size * (window.devicePixelRatio || 1)),
  ) as [number, number, number, number];
  return { left: a, top: b, width: c, height: d };
}
