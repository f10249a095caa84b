import { type Place, type Span, spans } from '../base/layout';

/** Pixels of a row of panels: its heading and legend, its curves, the marks and the name of its axis. */
const ROW = { words: 42, curves: 142, axis: 38 } as const;
/** Pixels of the row of pictures: their headings, they themselves. */
const PICTURES = { words: 26, height: 180 } as const;
const COLUMNS = 2;
/** Of the width: the axis at the right of a panel, and that at the left of its neighbour. */
const GAP = 0.115;

/** Where the panels of a run's figure lie on its paper, row after row, and the pictures below them. */
export interface Arrangement {
  /** Pixels of the paper. */
  readonly height: number;
  readonly panels: readonly Place[];
  readonly pictures: Span;
}

/** @param count of panels */
export function arrangement(count: number, pictures: boolean): Arrangement {
  const rows = Math.ceil(count / COLUMNS);
  const row = ROW.words + ROW.curves + ROW.axis;
  const below = pictures ? PICTURES.words + PICTURES.height : 0;
  const height = rows * row + below;
  const up = (pixels: number): number => 1 - pixels / height;
  const across = spans(COLUMNS, GAP);
  const panels = Array.from({ length: count }, (_, i): Place => {
    const from = Math.floor(i / COLUMNS) * row + ROW.words;
    return { x: across[i % COLUMNS]!, y: [up(from + ROW.curves), up(from)] };
  });
  return { height, panels, pictures: [0, up(rows * row + PICTURES.words)] };
}
