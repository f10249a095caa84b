import type { LatestSlices } from '../../train/record/latest-slices';
import { axesOf, axisKeys, type Layout, type Span, spans } from '../base/layout';
import { differenceScale, pictureAxes } from '../base/panels';
import { grays, heading } from '../base/theme';
import type { Drawing } from '../figure/drawing';

/**
 * Adds three pictures side by side: what was put in, what came out, and the difference. Returns their colour axes.
 *
 * @param first the number of the first picture's axes
 * @param y where the row lies, in paper coordinates
 */
export function addSlices(drawing: Drawing, slices: LatestSlices, first: number, y: Span): Layout {
  const { step, columns, rows, original, reconstruction } = slices;
  const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
  const before = bytesOf(original);
  const difference = Int16Array.from(bytesOf(reconstruction), (value, at) => value - before[at]!);
  const differenceText = Buffer.from(difference.buffer).toString('base64');
  const pictures = [
    { name: `validation, step ${step}`, dtype: 'u1', bdata: original, coloraxis: 'coloraxis8' },
    { name: 'reconstruction', dtype: 'u1', bdata: reconstruction, coloraxis: 'coloraxis8' },
    { name: 'difference', dtype: 'i2', bdata: differenceText, coloraxis: 'coloraxis9' },
  ];
  const plane = { columns, rows, aspect: 1, reversed: { horizontal: false, vertical: true } };
  // The colour bar is right of them.
  spans(3, 0.025, 0, 0.95).forEach((x, at) => {
    const { name, dtype, bdata, coloraxis } = pictures[at]!;
    drawing.addAxes(pictureAxes(first + at, plane, { x, y }, first));
    drawing.annotations.push(heading(name, x, y[1]));
    drawing.data.push({
      ...axesOf(first + at),
      type: 'heatmap',
      uid: `slice-${at}`,
      name,
      coloraxis,
      zsmooth: false,
      z: { dtype, bdata, shape: `${rows}, ${columns}` },
      hovertemplate: `x %{x}, y %{y}<br><b>%{z}</b> of 255<extra>${name}</extra>`,
    });
  });
  // Half of the model's range, which is the training's window.
  const ticks = { tickvals: [-127.5, 0, 127.5], ticktext: ['-1', '0', '1'] };
  return {
    coloraxis8: { colorscale: grays, cmin: 0, cmax: 255, showscale: false },
    coloraxis9: differenceScale(128, '', { ...ticks, x: 0.955, ...barAt(y) }),
  };
}

/**
 * Where the pictures and their words are in another row, by the paths of what must move.
 *
 * @param heading the index of the first picture's heading among the annotations
 */
export function slicesAt(first: number, heading: number, y: Span): Layout {
  const paths = [0, 1, 2].flatMap((at) => [
    [`${axisKeys(first + at).y}.domain`, y],
    [`annotations[${heading + at}].y`, y[1]],
  ]);
  const bar = Object.entries(barAt(y)).map(([key, value]) => [`coloraxis9.colorbar.${key}`, value]);
  return Object.fromEntries([...paths, ...bar]) as Layout;
}

function barAt([bottom, top]: Span): { readonly y: number; readonly len: number } {
  return { y: (bottom + top) / 2, len: top - bottom };
}
