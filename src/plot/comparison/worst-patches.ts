import type { PatchRow } from '../../fidelity/patch-errors';
import { extractPatch } from '../../patch/extract';
import type { Grid } from '../../patch/grid';
import type { Intensity } from '../../volume/intensity';
import { Figure, type Layout, type Trace } from '../base/figure';
import { barLook, grayScale, picture, pictureAxes } from '../base/panels';
import { planesOf, sliceOf } from '../base/planes';
import type { ShownVolume } from '../base/shown';
import { baseLayout, diverging, heading } from '../base/theme';

const WIDTH = 900; // what the heights are made for; the figure itself follows its cell
const GAP = 0.015;

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
  const clip = (value: number) => Math.min(intensity.high, Math.max(intensity.low, value));
  const slices = chosen.map(({ index }) => {
    const patch = (of: ShownVolume): ShownVolume => ({
      ...of,
      shape: grid.patch,
      data: extractPatch(of.data, grid, index).map(clip),
    });
    const [a, b] = [patch(reference), patch(candidate)];
    const plane = planesOf(a).axial;
    const middle = Math.floor(plane.count / 2);
    const [original, made] = [sliceOf(a, plane, middle), sliceOf(b, plane, middle)];
    return { plane, middle, original, made, difference: made.map((value, i) => value - original[i]!) };
  });
  const limit = symmetricLimit(slices.flatMap(({ difference }) => Array.from(difference)));
  const width = (1 - GAP * (chosen.length - 1)) / chosen.length;
  const height = (1 - 2 * 0.03) / 3;
  const data: Trace[] = [];
  const axes: Layout[] = [];
  const annotations: Layout[] = [];
  slices.forEach(({ plane, middle, original, made, difference }, column) => {
    const x = [column * (width + GAP), column * (width + GAP) + width] as const;
    [original, made, difference].forEach((values, row) => {
      const panel = 3 * column + row + 1;
      const top = 1 - row * (height + 0.03);
      const name = ['original', 'reconstruction', 'difference'][row]!;
      const units = intensity.units === 'HU' ? 'HU' : '';
      const coloraxis = row === 2 ? 'coloraxis2' : 'coloraxis';
      data.push(picture(values, plane, middle, { panel, name, units, coloraxis }));
      axes.push(pictureAxes(panel, plane, { x, y: [top - height, top] }));
    });
    const { index, start, psnr } = chosen[column]!;
    annotations.push(
      heading(`patch ${index}, ${psnr.toFixed(1)} dB<br>from [${start.join(', ')}]`, (x[0] + x[1]) / 2, 1),
    );
  });
  const plane = slices[0]!.plane;
  const pixels = (3 * width * (WIDTH - 100) * plane.rows * plane.aspect) / plane.columns;
  const title = `the ${chosen.length} worst patches: original, reconstruction, difference`;
  const layout = Object.assign(baseLayout(title, Math.round(Math.min(760, pixels)) + 110), ...axes, {
    annotations,
    margin: { l: 10, r: 76, t: 84, b: 16 },
    coloraxis: grayScale(
      { label: intensity.name, low: intensity.low, high: intensity.high },
      intensity.units === 'HU' ? 'HU' : '',
      { x: 1.005, y: 1, yanchor: 'top', len: 0.62 },
    ),
    coloraxis2: {
      colorscale: diverging,
      cmin: -limit,
      cmax: limit,
      colorbar: { ...barLook('Δ'), x: 1.005, y: 0, yanchor: 'bottom', len: 0.33 },
    },
  });
  const words = chosen.map(({ index, psnr }) => `patch ${index} ${psnr.toFixed(2)} dB`);
  return new Figure(data, layout, `${title}: ${words.join(', ')}`);
}

function symmetricLimit(differences: readonly number[]): number {
  const sizes = Float32Array.from(differences, Math.abs).sort();
  const limit = sizes[Math.floor(0.995 * (sizes.length - 1))] ?? 0;
  return limit > 0 && Number.isFinite(limit) ? Number(limit.toPrecision(2)) : 1;
}
