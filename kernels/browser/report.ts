/** The script of a report: draws every figure in the page's colours, and again when the reader's theme or the medium changes. */
import { drawFigure, type PlotlyFigure, type Plotly as PlotlyLibrary } from './plotly';

declare const Plotly: PlotlyLibrary;

const figures = [...document.querySelectorAll<HTMLElement>('.figure[data-figure]')].map((node) => ({
  node,
  figure: JSON.parse(document.getElementById(node.dataset.figure!)!.textContent!) as PlotlyFigure,
}));

function draw(): void {
  const ink = getComputedStyle(document.documentElement).getPropertyValue('--ink').trim();
  for (const { node, figure } of figures) {
    // A broken figure fails; the others are still drawn.
    drawFigure(Plotly, node, figure, ink).catch((error) => {
      node.textContent = String(error);
    });
  }
}

for (const { node } of figures) node.textContent = '';
draw();
for (const query of ['(prefers-color-scheme: dark)', 'print'])
  matchMedia(query).addEventListener('change', draw);
