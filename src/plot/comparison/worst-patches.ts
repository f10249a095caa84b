import type { PatchRow } from '../../fidelity/places';
import { extractPatch } from '../../patch/extract';
import type { Grid } from '../../patch/grid';
import { clip, type Intensity } from '../../volume/intensity';
import { spans } from '../base/layout';
import {
  differenceLimit,
  differenceScale,
  grayScale,
  PLANNED_WIDTH,
  picture,
  pictureAxes,
  unitsOf,
} from '../base/panels';
import { planesOf, sliceOf } from '../base/planes';
import type { ShownVolume } from '../base/shown';
import { heading } from '../base/theme';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';

export interface WorstPatchesOptions {
  readonly intensity: Intensity;
  /** How many patches to show, the first of the rows; default 5. */
  readonly count?: number;
}

/**
 * The middle slices of the worst patches: the original, the reconstruction and their difference, on one symmetric
 * scale. `rows` are those of `patchErrors`.
 */
export function worstPatchesFigure(
  reference: ShownVolume,
  candidate: ShownVolume,
  grid: Grid,
  rows: readonly PatchRow[],
  { intensity, count = 5 }: WorstPatchesOptions,
): Figure {
  const chosen = rows.slice(0, count);
  const patch = (of: ShownVolume, index: number): ShownVolume => ({
    ...of,
    shape: grid.patch,
    data: clip(extractPatch(of.data, grid, index), intensity),
  });
  const plane = planesOf({ ...reference, shape: grid.patch }).axial;
  const middle = Math.floor(plane.count / 2);
  const units = unitsOf(intensity);
  const drawing = new Drawing();
  const columns = spans(chosen.length, 0.015);
  const bands = spans(3, 0.03).reverse();
  const differences = chosen.map(({ index, start, psnr }, column) => {
    const [original, made] = [reference, candidate].map((of) => sliceOf(patch(of, index), plane, middle));
    const difference = made!.map((value, i) => value - original![i]!);
    const x = columns[column]!;
    [original!, made!, difference].forEach((values, row) => {
      const panel = 3 * column + row + 1;
      const name = ['original', 'reconstruction', 'difference'][row]!;
      const coloraxis = row === 2 ? 'coloraxis2' : 'coloraxis';
      drawing.data.push(picture(values, plane, middle, { panel, name, units, coloraxis }));
      drawing.addAxes(pictureAxes(panel, plane, { x, y: bands[row]! }));
    });
    const text = `patch ${index}, ${psnr.toFixed(2)} dB<br>from [${start.join(', ')}]`;
    drawing.annotations.push(heading(text, x, 1));
    return difference;
  });
  const width = columns[0]![1];
  const pixels = (3 * width * (PLANNED_WIDTH - 100) * plane.rows * plane.aspect) / plane.columns;
  const title = `the ${chosen.length} worst patches: original, reconstruction, difference`;
  const words = chosen.map(({ index, psnr }) => `patch ${index} ${psnr.toFixed(2)} dB`);
  const bar = { x: 1.005, y: 0, yanchor: 'bottom', len: 0.33 };
  const look = {
    margin: { l: 10, r: 76, t: 84, b: 16 },
    coloraxis: grayScale(intensity, units, { ...bar, y: 1, yanchor: 'top', len: 0.62 }),
    coloraxis2: differenceScale(differenceLimit(differences), units, bar),
  };
  const height = Math.round(Math.min(760, pixels)) + 110;
  return drawing.figure(title, height, look, `${title}: ${words.join(', ')}`);
}
