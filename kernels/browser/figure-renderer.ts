import type { JupyterSession, LuminoWidget, MimeModel, Themes, WidgetClass } from './jupyter';
import { type KernelData, KernelLink } from './kernel-link';
import { drawFigure, type Plotly, type PlotlyFigure, reserveHeight, type Trace } from './plotly';

export const FIGURE_MIME = 'application/vnd.patchwise.figure+json';
const PLOTLY_MIME = 'application/vnd.plotly.v1+json';

interface NamedRun {
  readonly id: string;
  readonly dir: string;
}
interface Stored {
  readonly figure: PlotlyFigure;
  readonly run?: NamedRun;
  readonly runs?: readonly NamedRun[];
}
/** An output that draws a figure. */
export interface FigureRenderer extends LuminoWidget {
  renderModel(model: MimeModel): Promise<void>;
}
type Points = Record<string, { readonly x: readonly unknown[]; readonly y: readonly unknown[] }>;

/** The class of JupyterLab outputs that show a figure, live if it names runs. @param Widget JupyterLab's own class */
export function figureRenderer(Widget: WidgetClass, loadPlotly: () => Promise<Plotly>) {
  return class extends Widget implements FigureRenderer {
    readonly #drawing = document.createElement('div');
    readonly #sight: IntersectionObserver;
    readonly #redraw = (): void => this.#drawSoon();
    readonly #release = (): void => this.#letGo();
    #figure: PlotlyFigure | undefined;
    #model: MimeModel | undefined;
    #link: KernelLink | undefined;
    /** The runs that the link follows. */
    #followed: string | undefined;
    #plotly: Plotly | undefined;
    #frame: number | undefined;
    /** A button of the mouse is down on the figure. */
    #held = false;
    /** Something came while the figure was held. */
    #late = false;
    #unseen = false;
    #trouble = false;

    constructor(
      private readonly session: JupyterSession | undefined,
      private readonly themes: Themes | undefined,
    ) {
      super();
      // In less width a table's words wrap into more lines than its height holds, and its last rows are gone: the
      // drawing stays as wide as it must, and scrolls in its place.
      this.node.style.overflow = 'auto hidden';
      this.#drawing.className = 'patchwise-figure';
      this.#drawing.style.minWidth = '800px';
      this.node.append(this.#drawing);
      this.#drawing.addEventListener('mousedown', () => this.#hold(), true); // the end of a scroll bar's drag is not told
      this.#sight = new IntersectionObserver(() => {
        if (this.#unseen && this.#isInSight) this.#drawSoon();
      });
      this.#sight.observe(this.node);
      themes?.themeChanged.connect(this.#redraw);
    }

    async renderModel(model: MimeModel): Promise<void> {
      const { figure, run, runs } = model.data[FIGURE_MIME] as Stored;
      const named = runs ? { runs } : run && { id: run.id, dir: run.dir };
      this.#model = model;
      const followed = JSON.stringify(named);
      if (followed !== this.#followed) {
        // An interaction may show another run in the same place.
        this.#link?.close();
        this.#link = undefined;
        this.#followed = followed;
      }
      // The kernel also replaces the stored figure once a second; the link has newer data than that.
      if (!this.#link?.connected) this.#figure = figure;
      if (this.#held) this.#late = true;
      else await this.#draw();
      if (named && this.session && !this.#link)
        this.#link = new KernelLink(this.session, 'patchwise.live', named, (data) => this.#receive(data));
    }

    onResize(): void {
      if (this.#plotly && 'data' in this.#drawing && this.isVisible) this.#plotly.Plots.resize(this.#drawing);
    }

    onAfterShow(): void {
      this.onResize();
    }

    override dispose(): void {
      if (this.isDisposed) return;
      this.#link?.close();
      this.#sight.disconnect();
      window.removeEventListener('mouseup', this.#release);
      this.themes?.themeChanged.disconnect(this.#redraw);
      if (this.#frame) cancelAnimationFrame(this.#frame);
      this.#plotly?.purge(this.#drawing);
      super.dispose();
    }

    #receive(message: KernelData): void {
      if (message.type === 'figure') this.#figure = message.figure as PlotlyFigure;
      else if (message.type === 'points' && this.#figure) {
        const layout = (message.layout as PlotlyFigure['layout'] | undefined) ?? this.#figure.layout;
        this.#figure = { data: appended(this.#figure.data, message.points as Points), layout };
      } else if (message.type === 'ended') this.#keep();
      this.#drawSoon();
    }

    /** Puts the last picture into the notebook, where a page that was reloaded meanwhile has an older one. */
    #keep(): void {
      const stored = this.#model?.data[FIGURE_MIME] as Stored | undefined;
      const figure = this.#figure;
      if (!stored || JSON.stringify(stored.figure) === JSON.stringify(figure)) return;
      const data: Record<string, unknown> = { ...this.#model!.data, [FIGURE_MIME]: { ...stored, figure } };
      if (data[PLOTLY_MIME]) data[PLOTLY_MIME] = figure;
      this.#model!.setData({ data });
    }

    /** Draws at the next frame, once for however many messages came before it. */
    #drawSoon(): void {
      if (this.#held) this.#late = true;
      if (this.#frame || this.#held || this.isDisposed) return;
      this.#frame = requestAnimationFrame(() => {
        this.#frame = undefined;
        if (this.#held) this.#late = true;
        else void this.#draw();
      });
    }

    /** A redraw would end a drag (a zoom, a slider), so the figure stands still while a button is down. */
    #hold(): void {
      this.#held = true;
      window.addEventListener('mouseup', this.#release, { once: true });
    }

    #letGo(): void {
      setTimeout(() => {
        this.#held = false;
        if (this.#late) this.#drawSoon();
        this.#late = false;
      }, 100); // Plotly takes the new range over after the event
    }

    /** Plotly measures words and widths on the page. Where the page leaves the figure out all of them are 0. */
    get #isInSight(): boolean {
      return this.node.clientWidth > 0 && this.node.checkVisibility({ contentVisibilityAuto: true });
    }

    async #draw(): Promise<void> {
      this.#unseen = !this.#isInSight;
      if (this.#unseen && this.#figure) reserveHeight(this.#drawing, this.#figure.layout);
      if (this.#unseen) {
        // JupyterLab hides all of itself for less than a frame when the theme changes. An observer tells of no such change,
        // but of the place where it begins to observe.
        this.#sight.disconnect();
        this.#sight.observe(this.node);
        return;
      }
      try {
        const plotly = await loadPlotly();
        if (this.isDisposed || !this.#figure) return;
        if (this.#trouble) this.#drawing.textContent = '';
        this.#trouble = false;
        // Plotly writes what the reader does (zoom, buttons, slider, legend) into what it is given. A still figure keeps
        // it there over a change of theme. A live one gets copies: Plotly keeps what the reader did only where the
        // kernel's next figure says the same as its last.
        const { data, layout } = this.#figure;
        const copy = { data: data.map((trace) => ({ ...trace })), layout: structuredClone(layout) };
        await drawFigure(plotly, this.#drawing, this.#link ? copy : this.#figure, ink());
        this.#plotly = plotly;
      } catch (error) {
        this.#trouble = true;
        this.#drawing.style.height = '';
        this.#drawing.textContent = `This figure cannot be drawn: ${error instanceof Error ? error.message : error}`;
      }
    }
  };
}

/** The colour of text in JupyterLab's present theme. */
function ink(): string {
  return getComputedStyle(document.body).getPropertyValue('--jp-content-font-color1').trim() || '#767f8c';
}

/** The data with new points at the end of their lines. */
function appended(data: readonly Trace[], points: Points): Trace[] {
  return data.map((trace) => {
    const added = trace.uid === undefined ? undefined : points[trace.uid];
    return added
      ? { ...trace, x: [...(trace.x ?? []), ...added.x], y: [...(trace.y ?? []), ...added.y] }
      : trace;
  });
}
