/** Where the pictures of a viewer stand, and what each shows. */
import type { VolumesBundle } from '../../../../src/volumes-bundle';
import type { View } from '../view';
import { type Plane, planes } from './planes';

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
/** In less width pictures stand below each other. */
const NARROW = 600;
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
  const isNarrow = width < NARROW;
  const large = Math.round((isNarrow ? height : width) * 0.6);
  const small = planes.filter((plane) => arrangement === 'rendering' || plane !== 'axial');
  const side = Math.floor(((isNarrow ? width : height) - GAP * (small.length - 1)) / small.length);
  const rest = (isNarrow ? height : width) - large - GAP;
  const first = arrangement === 'rendering' ? 'rendering' : 'axial';
  return [
    isNarrow ? tile(first, 0, 0, width, large) : tile(first, 0, 0, large, height),
    ...small.map((plane, at) =>
      isNarrow
        ? tile(plane, at * (side + GAP), large + GAP, side, rest)
        : tile(plane, large + GAP, at * (side + GAP), rest, side),
    ),
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
  const [columns, rows] = width < NARROW ? [2, names.length] : [names.length, 2];
  const tileWidth = Math.floor((width - GAP * (columns - 1)) / columns);
  const tileHeight = Math.floor((height - GAP * (rows - 1)) / rows);
  /** A volume's own picture, or that of its difference: below it, or to its right. */
  const place = (volume: number, isDifference: boolean) => {
    const [column, row] = width < NARROW ? [Number(isDifference), volume] : [volume, Number(isDifference)];
    const [left, top] = [column * (tileWidth + GAP), row * (tileHeight + GAP)];
    return { left, top, width: tileWidth, height: tileHeight, plane };
  };
  return names.flatMap((name, volume): Tile[] => [
    { ...place(volume, false), label: name, contents: [contentOf(volume)] },
    ...(volume === 0
      ? []
      : [
          {
            ...place(volume, true),
            label: `${name} − ${names[0]}`,
            contents: [{ shows: 'difference', volume, columns: WHOLE }] as const,
          },
        ]),
  ]);
}

/** Where the legend of differences stands: in the place of the reference's own, or over the lower right of a picture. */
export function legendBox([first, second, difference]: readonly Tile[]): Pick<
  Tile,
  'left' | 'top' | 'width' | 'height'
> {
  const { width, height } = first!;
  if (!second || !difference) return { left: width - 240, top: height - 90, width: 240, height: 60 };
  return difference.left === second.left
    ? { left: 0, top: difference.top, width, height }
    : { left: difference.left, top: 0, width, height };
}
