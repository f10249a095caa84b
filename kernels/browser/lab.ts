/*
 * Patchwise in JupyterLab: a module-federation container without a build of JupyterLab's own. JupyterLab loads this
 * script, calls `init` with the packages it shares, and `get` for the module that package.json names.
 */
import { INTERACT_MIME } from '../../src/controls/interact-bundle';
import { WIDGET_MIME } from '../../src/controls/widget-bundle';
import { VOLUMES_MIME } from '../../src/volumes-bundle';
import { FIGURE_MIME, figureRenderer } from './figure-renderer';
import { interactRenderer } from './interact/renderer';
import type { JupyterSession, Lumino, NotebookPanel, NotebookTracker, RenderMime, Themes } from './jupyter';
import { plotlyLoader } from './plotly';
import { viewerLoader, volumesRenderer } from './volumes-renderer';
import { widgetRenderer } from './widget/renderer';

interface SharedVersion {
  readonly loaded?: unknown;
  get(): Promise<() => unknown>;
}
/** Packages by name, and their versions. */
type Shared = Record<string, Record<string, SharedVersion>>;

/** The folder of this script, with plotly.min.js and viewer.js in it. */
const base = new URL('.', (document.currentScript as HTMLScriptElement).src).href;
let shared: Shared;

/** A package of JupyterLab's own, in the version it runs. */
async function packageOf<T>(name: string): Promise<T> {
  const versions = shared[name]!;
  const version = Object.keys(versions).find((key) => versions[key]!.loaded) ?? Object.keys(versions)[0]!;
  return (await versions[version]!.get())() as T;
}

async function plugin(): Promise<object> {
  const lumino = await packageOf<Lumino>('@lumino/widgets');
  const { INotebookTracker } = await packageOf<{ INotebookTracker: unknown }>('@jupyterlab/notebook');
  const { IRenderMimeRegistry } = await packageOf<{ IRenderMimeRegistry: unknown }>('@jupyterlab/rendermime');
  const { IThemeManager } = await packageOf<{ IThemeManager: unknown }>('@jupyterlab/apputils');
  const FigureRenderer = figureRenderer(lumino.Widget, plotlyLoader(`${base}plotly.min.js`));
  const InteractRenderer = interactRenderer(lumino);
  const VolumesRenderer = volumesRenderer(lumino.Widget, viewerLoader(`${base}viewer.js`), FigureRenderer);
  const WidgetRenderer = widgetRenderer(lumino.Widget);
  return {
    id: 'patchwise:figures',
    description: 'Draws the figures of Patchwise, live while a run goes on.',
    autoStart: true,
    requires: [INotebookTracker, IRenderMimeRegistry],
    optional: [IThemeManager],
    activate: (_app: unknown, notebooks: NotebookTracker, rendermime: RenderMime, themes?: Themes) => {
      const serve = (registry: RenderMime, session?: JupyterSession): void => {
        const figures = {
          safe: true, // data for Plotly: nothing in it runs
          mimeTypes: [FIGURE_MIME],
          defaultRank: 0,
          createRenderer: () => new FigureRenderer(session, themes),
        };
        const interactions = {
          safe: true, // the answer is drawn by the renderers that its trust allows
          mimeTypes: [INTERACT_MIME],
          defaultRank: 0,
          createRenderer: () => new InteractRenderer(session, registry),
        };
        const volumes = {
          safe: true, // numbers to look at: nothing in them runs
          mimeTypes: [VOLUMES_MIME],
          defaultRank: -1, // before the figure of the same bundle
          createRenderer: () => new VolumesRenderer(session, themes),
        };
        const widgets = {
          safe: false, // the notebook's own code
          mimeTypes: [WIDGET_MIME],
          defaultRank: 0,
          createRenderer: () => new WidgetRenderer(session),
        };
        registry.addFactory(figures, 0);
        registry.addFactory(widgets, 0);
        registry.addFactory(interactions, 0);
        registry.addFactory(volumes, -1);
      };
      const attend = ({ content, sessionContext }: NotebookPanel): void =>
        serve(content.rendermime, sessionContext);
      serve(rendermime); // where there is no notebook and so no kernel: still pictures
      notebooks.forEach(attend);
      notebooks.widgetAdded.connect((_, panel) => attend(panel));
    },
  };
}

const page = window as unknown as { _JUPYTERLAB?: Record<string, unknown> };
page._JUPYTERLAB ??= {};
page._JUPYTERLAB.patchwise = {
  init(scope: Shared): void {
    shared = scope;
  },
  async get(module: string): Promise<() => object> {
    if (module !== './extension') throw new Error(`patchwise has no module ${module}`);
    const extension = await plugin();
    return () => ({ __esModule: true, default: extension });
  },
};
