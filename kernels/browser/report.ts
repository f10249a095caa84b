/** The script of a report: draws every figure in the page's colours, and again when the reader's theme or the medium changes. */
import type { VolumesBundle } from '../../src/volumes-bundle';
import { drawFigure, type PlotlyFigure, type Plotly as PlotlyLibrary } from './plotly';
import type { PatchwiseViewer } from './viewer/main';

declare const Plotly: PlotlyLibrary;
declare const patchwiseViewer: PatchwiseViewer;

/** What is drawn with Plotly, and where. */
interface Drawing {
  readonly node: HTMLElement;
  readonly figure: PlotlyFigure;
}

function draw(drawings: readonly Drawing[]): void {
  const ink = getComputedStyle(document.documentElement).getPropertyValue('--ink').trim();
  for (const { node, figure } of drawings) {
    // A broken figure fails; the others are still drawn.
    drawFigure(Plotly, node, figure, ink).catch((error) => {
      node.textContent = String(error);
    });
  }
}

/** Shows volumes. Returns the Plotly figure that belongs under them, or that stands for them where there is no WebGL. */
function showVolumes(
  place: HTMLElement,
  volumes: VolumesBundle,
  figure: PlotlyFigure | undefined,
): Drawing[] {
  const node = document.createElement('div');
  const below = volumes.below as PlotlyFigure | undefined;
  if (!patchwiseViewer.canDraw()) {
    const instead = figure ?? below;
    if (instead) place.replaceChildren(node);
    return instead ? [{ node, figure: instead }] : [];
  }
  const viewer = document.createElement('div');
  place.replaceChildren(viewer, node);
  patchwiseViewer.mount(viewer, volumes);
  return below ? [{ node, figure: below }] : [];
}

const stored = (id: string): unknown => JSON.parse(document.getElementById(id)!.textContent!);
const plotted = [...document.querySelectorAll<HTMLElement>('.figure[data-figure]')].map((node): Drawing => {
  node.textContent = '';
  return { node, figure: stored(node.dataset.figure!) as PlotlyFigure };
});
const beside = [...document.querySelectorAll<HTMLElement>('.figure[data-volumes]')].flatMap((place) => {
  const { volumes, figure } = stored(place.dataset.volumes!) as {
    readonly volumes: VolumesBundle;
    readonly figure?: PlotlyFigure;
  };
  return showVolumes(place, volumes, figure);
});
const drawings = [...plotted, ...beside];

draw(drawings);
for (const query of ['(prefers-color-scheme: dark)', 'print'])
  matchMedia(query).addEventListener('change', () => draw(drawings));
