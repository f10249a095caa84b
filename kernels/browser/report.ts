/** The script of a report: draws every figure in the page's colours, and again when the reader's theme or the medium changes. */
import type { VolumesBundle } from '../../src/volumes-bundle';
import { drawFigure, type PlotlyFigure, type Plotly as PlotlyLibrary } from './plotly';
import type { PatchwiseViewer } from './viewer/main';

const page = globalThis as unknown as { Plotly: PlotlyLibrary; patchwiseViewer: PatchwiseViewer };

/** What is drawn with Plotly, and where. */
interface Drawing {
  readonly node: HTMLElement;
  readonly figure: PlotlyFigure;
}

function draw(drawings: readonly Drawing[]): void {
  const ink = getComputedStyle(document.documentElement).getPropertyValue('--ink').trim();
  for (const { node, figure } of drawings) {
    // A broken figure fails; the others are still drawn.
    drawFigure(page.Plotly, node, figure, ink).catch((error) => {
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
  node.className = 'plot';
  const scrolled = document.createElement('div');
  scrolled.className = 'wide';
  scrolled.append(node);
  const below = volumes.below as PlotlyFigure | undefined;
  if (!page.patchwiseViewer.canDraw()) {
    const instead = figure ?? below;
    if (instead) place.replaceChildren(scrolled);
    return instead ? [{ node, figure: instead }] : [];
  }
  const viewer = document.createElement('div');
  const still = document.createElement('div');
  still.className = 'on-paper';
  still.append(...place.childNodes);
  place.replaceChildren(viewer, scrolled, still);
  page.patchwiseViewer.mount(viewer, volumes);
  return below ? [{ node, figure: below }] : [];
}

/** Runs a library that the page holds as gzip in base64, if it holds it. */
async function run(id: string): Promise<void> {
  const packed = document.querySelector(`script#${id}`)?.textContent; // no HTML of the notebook's has scripts
  if (!packed) return;
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  const script = document.createElement('script');
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

const stored = (id: string): unknown => JSON.parse(document.querySelector(`script#${id}`)!.textContent!);

function showFigure(node: HTMLElement): Drawing {
  node.textContent = '';
  return { node, figure: stored(node.dataset.figure!) as PlotlyFigure };
}

function showStoredVolumes(place: HTMLElement): Drawing[] {
  const { volumes, figure } = stored(place.dataset.volumes!) as {
    readonly volumes: VolumesBundle;
    readonly figure?: PlotlyFigure;
  };
  return showVolumes(place, volumes, figure);
}

async function show(): Promise<void> {
  const all = (kind: string) => [...document.querySelectorAll<HTMLElement>(`.figure[data-${kind}]`)];
  const drawings: Drawing[] = [];
  await run('plotly');
  drawings.push(...all('figure').map(showFigure));
  draw(drawings);
  await run('patchwise-viewer');
  const beside = all('volumes').flatMap(showStoredVolumes);
  draw(beside);
  drawings.push(...beside);
  for (const query of ['(prefers-color-scheme: dark)', 'print'])
    matchMedia(query).addEventListener('change', () => draw(drawings));
}

show().catch((error) => {
  const note = document.createElement('p');
  note.className = 'note';
  note.textContent = `The figures cannot be drawn. A newer browser may draw them. (${error})`;
  document.querySelector('main')!.prepend(note);
});
