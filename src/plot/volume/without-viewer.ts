import type { Layout } from '../base/layout';
import { SMALL } from '../base/theme';
import { Figure } from '../figure/figure';

const WORDS =
  'Only some slices, because the viewer of all slices and 3D is not there. It needs JupyterLab with Patchwise, or a report,<br>' +
  'in a browser with WebGL 2: turn on graphics acceleration in the settings of the browser, or take another browser.';
/** Pixels of two lines. */
const ROOM = 34;

/** The slices that stand for a viewer, with words below them: why they do, and how to get the viewer. */
export function withoutViewer({ data, layout, summary }: Figure): Figure {
  const margin = layout.margin as { readonly b: number };
  const place = { x: 0, xref: 'paper', xanchor: 'left', y: 0, yref: 'paper', yanchor: 'top', align: 'left' };
  const note = {
    ...{ ...place, yshift: 4 - margin.b, text: WORDS, showarrow: false, font: { size: SMALL } },
  };
  const annotations = [...((layout.annotations ?? []) as readonly Layout[]), note];
  const height = (layout.height as number) + ROOM;
  return new Figure(
    data,
    { ...layout, height, annotations, margin: { ...margin, b: margin.b + ROOM } },
    summary,
  );
}
