import type { LatestSlices } from '../../train/record/latest-slices';
import type { Layout, Trace } from '../base/figure';
import { axisId, axisKey, barLook, type Domain } from '../base/panels';
import { diverging, grays, heading } from '../base/theme';

/** Three pictures side by side: what was put in, what came out, and the difference. */
export interface SlicesRow {
  readonly data: readonly Trace[];
  readonly axes: Layout;
  readonly annotations: readonly Layout[];
}

/**
 * @param first the number of the first picture's axes
 * @param y where the row lies, in paper coordinates
 */
export function slicesRow(slices: LatestSlices, first: number, y: Domain['y']): SlicesRow {
  const { step, columns, rows } = slices;
  const [original, reconstruction] = [slices.original, slices.reconstruction].map(
    (text) => new Uint8Array(Buffer.from(text, 'base64')),
  ) as [Uint8Array, Uint8Array];
  const difference = Int16Array.from(reconstruction, (value, at) => value - original[at]!);
  const shape = `${rows}, ${columns}`;
  const pictures = [
    {
      name: `validation, step ${step}`,
      z: { dtype: 'u1', bdata: slices.original, shape },
      coloraxis: 'coloraxis8',
    },
    {
      name: 'reconstruction',
      z: { dtype: 'u1', bdata: slices.reconstruction, shape },
      coloraxis: 'coloraxis8',
    },
    {
      name: 'difference',
      z: { dtype: 'i2', bdata: Buffer.from(difference.buffer).toString('base64'), shape },
      coloraxis: 'coloraxis9',
    },
  ];
  const [width, apart] = [0.3, 0.325]; // the bar is right of them
  const axes: Record<string, unknown> = {
    coloraxis8: { colorscale: grays, cmin: 0, cmax: 255, showscale: false },
    coloraxis9: {
      colorscale: diverging,
      cmin: -128,
      cmax: 128,
      // Half of the model's range, which is the training's window.
      colorbar: {
        ...barLook('Δ'),
        tickvals: [-127.5, 0, 127.5],
        ticktext: ['-1', '0', '1'],
        x: 0.955,
        y: (y[0] + y[1]) / 2,
        len: y[1] - y[0],
      },
    },
  };
  const data = pictures.map(({ name, z, coloraxis }, at): Trace => {
    const [panel, x] = [first + at, at * apart];
    const shared = {
      showgrid: false,
      zeroline: false,
      ticks: '',
      showticklabels: false,
      constrain: 'domain',
    };
    const follows = at > 0;
    axes[axisKey('x', panel)] = {
      ...shared,
      domain: [x, x + width],
      anchor: axisId('y', panel),
      range: [-0.5, columns - 0.5],
      ...(follows ? { matches: axisId('x', first) } : {}),
    };
    axes[axisKey('y', panel)] = {
      ...shared,
      domain: y,
      anchor: axisId('x', panel),
      range: [rows - 0.5, -0.5],
      ...(follows ? { matches: axisId('y', first) } : { scaleanchor: axisId('x', panel) }),
      constraintoward: 'top',
    };
    return {
      type: 'heatmap',
      uid: `slice-${at}`,
      name,
      z,
      xaxis: axisId('x', panel),
      yaxis: axisId('y', panel),
      coloraxis,
      zsmooth: false,
      hovertemplate: `x %{x}, y %{y}<br><b>%{z}</b> of 255<extra>${name}</extra>`,
    };
  });
  const annotations = pictures.map(({ name }, at) => heading(name, at * apart + width / 2, y[1]));
  return { data, axes, annotations };
}
