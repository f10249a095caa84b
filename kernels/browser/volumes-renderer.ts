import { VOLUMES_MIME, type VolumesBundle } from '../../src/volumes-bundle';
import { FIGURE_MIME, type FigureRenderer } from './figure-renderer';
import type { JupyterSession, LuminoWidget, MimeModel, Themes, WidgetClass } from './jupyter';
import { KernelLink } from './kernel-link';
import type { PlotlyFigure } from './plotly';
import { loadedOnce } from './script';
import type { Connect, Mounted, PatchwiseViewer } from './viewer/main';
import type { KernelToPage } from './viewer/messages';

const PLOTLY_MIME = 'application/vnd.plotly.v1+json';

/**
 * The class of JupyterLab outputs that show volumes, and draw the bundle's Plotly figure where there is no WebGL.
 * @param Widget JupyterLab's own class @param Figures what draws a Plotly figure
 */
export function volumesRenderer(
  Widget: WidgetClass,
  loadViewer: () => Promise<PatchwiseViewer>,
  Figures: new (session: undefined, themes: Themes | undefined) => FigureRenderer,
) {
  return class VolumesRenderer extends Widget implements LuminoWidget {
    #shown: string | undefined;
    #viewer: Mounted | undefined;
    #kind: VolumesBundle['kind'] | undefined;
    #figure: FigureRenderer | undefined;

    constructor(
      private readonly session: JupyterSession | undefined,
      private readonly themes: Themes | undefined,
    ) {
      super();
    }

    async renderModel({ data }: MimeModel): Promise<void> {
      const bundle = data[VOLUMES_MIME] as VolumesBundle;
      // JupyterLab draws an output again where it moves. What the reader did stays.
      const written = JSON.stringify(bundle);
      if (written === this.#shown) return;
      this.#shown = written;
      try {
        const viewer = await loadViewer();
        if (this.isDisposed || this.#shown !== written) return;
        const hasWebGl = viewer.canDraw();
        // An answer of an interaction takes the place of the one before it: the reader's view stays.
        if (bundle.kind !== this.#kind) this.#clear();
        this.#kind = bundle.kind;
        if (hasWebGl && this.#viewer) await this.#viewer.show(bundle);
        else if (hasWebGl) {
          const place = this.node.appendChild(document.createElement('div'));
          this.#viewer = viewer.mount(place, bundle, this.session && this.#connectTo(this.session));
        }
        if (this.isDisposed || this.#shown !== written) return;
        await this.#draw(hasWebGl ? bundle.below : (figureOf(data) ?? bundle.below));
      } catch (error) {
        this.#clear();
        this.#kind = undefined;
        this.node.textContent = `The volumes cannot be shown: ${error instanceof Error ? error.message : error}`;
      }
    }

    override dispose(): void {
      if (this.isDisposed) return;
      this.#clear();
      super.dispose();
    }

    #clear(): void {
      this.#viewer?.dispose();
      this.#figure?.dispose();
      this.#viewer = undefined;
      this.#figure = undefined;
      this.node.replaceChildren();
    }

    async #draw(figure: PlotlyFigure | VolumesBundle['below']): Promise<void> {
      if (!figure) {
        this.#figure?.dispose();
        this.#figure = undefined;
        return;
      }
      this.#figure ??= new Figures(undefined, this.themes);
      this.node.append(this.#figure.node);
      await this.#figure.renderModel({ data: { [FIGURE_MIME]: { figure } }, setData: () => {} });
    }

    #connectTo(session: JupyterSession): Connect {
      return (opened, onMessage, onLost) =>
        new KernelLink(
          session,
          'patchwise.volumes',
          opened,
          (data, buffers) => onMessage(data as unknown as KernelToPage, buffers),
          onLost,
        );
    }
  };
}

/** The slices that the bundle has for front ends without a viewer. */
function figureOf(data: MimeModel['data']): PlotlyFigure | undefined {
  const stored = data[FIGURE_MIME] as { readonly figure?: PlotlyFigure } | undefined;
  return stored?.figure ?? (data[PLOTLY_MIME] as PlotlyFigure | undefined);
}

/** A function that loads the viewer once from an address. */
export function viewerLoader(address: string): () => Promise<PatchwiseViewer> {
  const page = globalThis as { patchwiseViewer?: PatchwiseViewer };
  return loadedOnce(address, () => () => page.patchwiseViewer!);
}
