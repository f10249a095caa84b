/** Where the pictures of a viewer stand, and what each shows. */
import type { VolumesBundle } from '../../../src/volumes-bundle';
import { type Plane, planes } from './planes';
import type { View } from './view';

/** What is drawn into a tile, or into a part of its width. */
export interface Content {
  readonly shows: 'value' | 'difference' | 'overlay';
  readonly volume: number;
  /** From 0 (left) to 1. */
  readonly columns: readonly [from: number, to: number];
}

/** In CSS pixels within the picture. */
export interface Tile {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly plane: Plane | 'rendering';
  readonly label: string;
  /** What stands on the right, where two are shown. */
  readonly second?: string;
  readonly contents: readonly Content[];
}

const GAP = 2;
const WHOLE = [0, 1] as const;

export function tilesOf(bundle: VolumesBundle, view: View, width: number, height: number): Tile[] {
  return bundle.kind === 'comparison'
    ? comparedTiles(bundle, view, width, height)
    : volumeTiles(view, width, height);
}

function volumeTiles({ arrangement }: View, width: number, height: number): Tile[] {
  const contents = [{ shows: 'value', volume: 0, columns: WHOLE }] as const;
  const tile = (plane: Plane | 'rendering', left: number, top: number, w: number, h: number): Tile => ({
    ...{ plane, left, top, width: w, height: h, contents },
    label: plane === 'rendering' ? '3D' : plane,
  });
  if (arrangement !== 'planes' && arrangement !== 'rendering')
    return [tile(arrangement, 0, 0, width, height)];
  const large = Math.round(width * 0.6);
  const small = planes.filter((plane) => arrangement === 'rendering' || plane !== 'axial');
  const side = Math.floor((height - GAP * (small.length - 1)) / small.length);
  return [
    tile(arrangement === 'rendering' ? 'rendering' : 'axial', 0, 0, large, height),
    ...small.map((plane, at) => tile(plane, large + GAP, at * (side + GAP), width - large - GAP, side)),
  ];
}

function comparedTiles(bundle: VolumesBundle, view: View, width: number, height: number): Tile[] {
  const names = bundle.volumes.map(({ name }) => name);
  const { plane, pair } = view;
  const contentOf = (volume: number, columns: Content['columns'] = WHOLE): Content => ({
    shows: view.hasOverlay && volume > 0 ? 'overlay' : 'value',
    ...{ volume, columns },
  });
  if (view.comparing === 'flicker') {
    const volume = pair[view.showsSecond ? 1 : 0];
    const label = `${view.showsSecond ? 'B' : 'A'}: ${names[volume]}`;
    return [{ left: 0, top: 0, width, height, plane, label, contents: [contentOf(volume)] }];
  }
  if (view.comparing === 'swipe') {
    const contents = [contentOf(pair[0], [0, view.divider]), contentOf(pair[1], [view.divider, 1])];
    const [label, second] = [`A: ${names[pair[0]]}`, `B: ${names[pair[1]]}`];
    return [{ left: 0, top: 0, width, height, plane, label, second, contents }];
  }
  const columns = names.length;
  const tileWidth = Math.floor((width - GAP * (columns - 1)) / columns);
  const tileHeight = Math.floor((height - GAP) / 2);
  const place = (column: number, row: number) => ({
    left: column * (tileWidth + GAP),
    top: row * (tileHeight + GAP),
    width: tileWidth,
    height: tileHeight,
    plane,
  });
  return names.flatMap((name, volume): Tile[] => [
    { ...place(volume, 0), label: name, contents: [contentOf(volume)] },
    ...(volume === 0
      ? []
      : [
          {
            ...place(volume, 1),
            label: `${name} − ${names[0]}`,
            contents: [{ shows: 'difference', volume, columns: WHOLE }] as const,
          },
        ]),
  ]);
}
