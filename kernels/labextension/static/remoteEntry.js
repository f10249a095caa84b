/*
 * Figures of Patchwise in JupyterLab. This file is a module-federation container written by hand: JupyterLab loads it
 * as a script, calls `init` with the packages it shares and `get` for the module that package.json names. There is
 * nothing to build. plotly.min.js lies beside it, copied there by `patchwise kernel install`.
 */
(() => {
  const MIME = 'application/vnd.patchwise.figure+json';
  const base = new URL('.', document.currentScript.src).href;
  // Nothing leaves this machine: without the last two Plotly offers to upload the figure to its maker's server.
  const config = { responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: '' };
  let shared;

  /** A package of JupyterLab's own, in the version it runs. */
  async function packageOf(name) {
    const versions = shared[name];
    const version = Object.keys(versions).find((key) => versions[key].loaded) ?? Object.keys(versions)[0];
    return (await versions[version].get())();
  }

  let plotly;
  /** Our Plotly, loaded once; another extension's `window.Plotly` stays what it was. */
  function loadPlotly() {
    plotly ??= new Promise((resolve, reject) => {
      const before = { Plotly: window.Plotly, define: window.define };
      window.define = undefined; // with an AMD loader on the page Plotly would register there instead
      const script = document.createElement('script');
      const restore = () => {
        window.define = before.define;
        const ours = window.Plotly;
        if (before.Plotly) window.Plotly = before.Plotly;
        return ours;
      };
      script.src = `${base}plotly.min.js`;
      script.onload = () => resolve(restore());
      script.onerror = () => {
        restore();
        plotly = undefined;
        reject(new Error(`${script.src} could not be loaded: run "patchwise kernel install" again`));
      };
      document.head.appendChild(script);
    });
    return plotly;
  }

  /** The layout in the colours of the present theme. */
  function themed(layout) {
    const style = getComputedStyle(document.body);
    const ink = style.getPropertyValue('--jp-content-font-color1').trim() || '#767f8c';
    return { ...layout, font: { ...layout.font, color: ink } };
  }

  /** The data with new points at the end of their lines. */
  function appended(data, points) {
    return data.map((trace) => {
      const added = points[trace.uid];
      return added ? { ...trace, x: [...trace.x, ...added.x], y: [...trace.y, ...added.y] } : trace;
    });
  }

  /** How long to wait for the first word of the kernel before asking again; it may have been restarting. */
  const PATIENCE_MS = 5000;
  /** How often the kernel hears that this page is still there. */
  const ALIVE_MS = 10_000;

  /**
   * Follows a run by a comm of its own to the notebook's kernel: opened when the figure is first drawn, and again when
   * the kernel has restarted or the connection came back. What is stored in the notebook is only the last picture.
   */
  class LiveLink {
    /** @param named what the comm is opened with: `{ id, dir }` of a run, or `{ runs }` of several */
    constructor(session, named, onMessage) {
      this.session = session;
      this.named = named;
      this.onMessage = onMessage;
      this.reopen = this.reopen.bind(this);
      this.onStatus = this.onStatus.bind(this);
      session.kernelChanged.connect(this.reopen);
      session.statusChanged.connect(this.onStatus);
      session.connectionStatusChanged.connect(this.onStatus);
      this.reopen();
    }

    get connected() {
      return this.comm !== undefined && !this.comm.isDisposed && this.heard;
    }

    onStatus() {
      const kernel = this.session.session?.kernel;
      if (kernel?.connectionStatus !== 'connected') return;
      if (['restarting', 'autorestarting', 'starting'].includes(kernel.status))
        this.comm = undefined; // the restarted kernel knows nothing of the comms before
      else if (!this.comm || this.comm.isDisposed) this.reopen();
    }

    async reopen() {
      if (this.over) return;
      await this.session.ready;
      const kernel = this.session.session?.kernel;
      if (!kernel || this.over || (this.kernel === kernel && this.comm && !this.comm.isDisposed)) return;
      this.kernel = kernel;
      this.heard = false;
      const comm = kernel.createComm('patchwise.live');
      this.comm = comm;
      comm.onMsg = ({ content: { data } }) => {
        if (this.comm !== comm) return;
        this.heard = true;
        this.onMessage(data);
        if (data.type === 'ended' || data.type === 'error') this.close();
      };
      comm.onClose = () => {
        if (this.comm !== comm) return;
        this.comm = undefined;
        if (this.heard) this.reopen(); // the kernel took us for gone; one that has never answered is not ours
      };
      comm.open(this.named);
      clearTimeout(this.doubt);
      this.doubt = setTimeout(() => {
        if (this.comm !== comm || this.heard) return;
        this.drop();
        this.reopen();
      }, PATIENCE_MS);
      clearInterval(this.pulse);
      this.pulse = setInterval(() => {
        if (this.comm && !this.comm.isDisposed && this.heard) this.comm.send({ type: 'alive' });
      }, ALIVE_MS);
    }

    close() {
      this.over = true;
      this.session.kernelChanged.disconnect(this.reopen);
      this.session.statusChanged.disconnect(this.onStatus);
      this.session.connectionStatusChanged.disconnect(this.onStatus);
      clearTimeout(this.doubt);
      clearInterval(this.pulse);
      this.drop();
    }

    drop() {
      const comm = this.comm;
      this.comm = undefined;
      try {
        if (comm && !comm.isDisposed) comm.close();
      } catch {
        // The kernel is gone, and the comm with it.
      }
    }
  }

  function rendererClass(Widget) {
    return class FigureRenderer extends Widget {
      constructor(session, themes) {
        super();
        this.session = session;
        this.themes = themes;
        // In less width a table's words wrap into more lines than its height holds, and its last rows are gone: the
        // drawing stays as wide as it must, and scrolls in its place.
        this.node.style.overflow = 'auto hidden';
        this.drawing = document.createElement('div');
        this.drawing.className = 'patchwise-figure';
        this.drawing.style.minWidth = '800px';
        this.node.append(this.drawing);
        this.redraw = this.redraw.bind(this);
        this.hold = this.hold.bind(this);
        this.release = this.release.bind(this);
        this.drawing.addEventListener('mousedown', this.hold, true); // not of the scroll bar, whose end is not told
        this.sight = new IntersectionObserver(() => {
          if (this.unseen && this.isInSight) this.redraw();
        });
        this.sight.observe(this.node);
        themes?.themeChanged.connect(this.redraw);
      }

      async renderModel(model) {
        const { figure, run, runs } = model.data[MIME];
        const named = runs ? { runs } : run && { id: run.id, dir: run.dir };
        this.model = model;
        // The kernel also replaces the stored figure once a second; the link has newer data than that.
        if (!this.link?.connected) this.figure = figure;
        if (this.held) this.late = true;
        else await this.draw();
        if (named && this.session && !this.link) {
          this.link = new LiveLink(this.session, named, (message) => this.receive(message));
        }
      }

      receive(message) {
        if (message.type === 'figure') this.figure = message.figure;
        else if (message.type === 'points') {
          const layout = message.layout ?? this.figure.layout;
          this.figure = { data: appended(this.figure.data, message.points), layout };
        } else if (message.type === 'ended') this.keep();
        this.redraw();
      }

      /** Puts the last picture into the notebook, where a page that was reloaded meanwhile has an older one. */
      keep() {
        const stored = this.model?.data[MIME];
        if (!stored || JSON.stringify(stored.figure) === JSON.stringify(this.figure)) return;
        const { figure } = this;
        const plotlyMime = 'application/vnd.plotly.v1+json';
        const data = { ...this.model.data, [MIME]: { ...stored, figure } };
        if (data[plotlyMime]) data[plotlyMime] = figure;
        this.model.setData({ data });
      }

      /** Draws at the next frame, once for however many messages came before it. */
      redraw() {
        if (this.held) this.late = true;
        if (this.frame || this.held || this.isDisposed) return;
        this.frame = requestAnimationFrame(() => {
          this.frame = undefined;
          if (this.held) this.late = true;
          else void this.draw();
        });
      }

      /** A redraw would end a drag (a zoom, a slider), so the figure stands still while a button is down. */
      hold() {
        this.held = true;
        window.addEventListener('mouseup', this.release, { once: true });
      }

      release() {
        setTimeout(() => {
          this.held = false;
          if (this.late) this.redraw();
          this.late = false;
        }, 100); // Plotly takes the new range over after the event
      }

      /** Plotly measures words and widths on the page. Where the page leaves the figure out all of them are 0. */
      get isInSight() {
        return this.node.clientWidth > 0 && this.node.checkVisibility({ contentVisibilityAuto: true });
      }

      async draw() {
        this.unseen = !this.isInSight;
        if (this.unseen && this.figure) this.reserve(this.figure.layout);
        if (this.unseen) return; // until it comes into sight
        try {
          const Plotly = await loadPlotly();
          if (this.isDisposed || !this.figure) return;
          if (this.trouble) this.drawing.textContent = this.trouble = '';
          // Plotly writes what the reader does (zoom, buttons, slider, legend) into what it is given. A still figure keeps
          // it there over a change of theme. A live one gets copies: Plotly keeps what the reader did only where the
          // kernel's next figure says the same as its last.
          let { data, layout } = this.figure;
          if (this.link) [data, layout] = [data.map((trace) => ({ ...trace })), structuredClone(layout)];
          this.reserve(layout);
          await Plotly.react(this.drawing, data, themed(layout), config);
          this.plotly = Plotly;
        } catch (error) {
          this.trouble = `This figure cannot be drawn: ${error.message ?? error}`;
          this.drawing.style.height = '';
          this.drawing.textContent = this.trouble;
        }
      }

      /** Plotly forgets the layout's height when it resizes, and takes the node's. */
      reserve(layout) {
        this.drawing.style.height = `${layout.height > 0 ? layout.height : 450}px`;
      }

      onResize() {
        if (this.plotly && this.drawing.data && this.isVisible) this.plotly.Plots.resize(this.drawing);
      }

      onAfterShow() {
        this.onResize();
      }

      dispose() {
        if (this.isDisposed) return;
        this.link?.close();
        this.sight.disconnect();
        window.removeEventListener('mouseup', this.release);
        this.themes?.themeChanged.disconnect(this.redraw);
        if (this.frame) cancelAnimationFrame(this.frame);
        if (this.plotly) this.plotly.purge(this.drawing);
        super.dispose();
      }
    };
  }

  async function plugin() {
    const { Widget } = await packageOf('@lumino/widgets');
    const { INotebookTracker } = await packageOf('@jupyterlab/notebook');
    const { IRenderMimeRegistry } = await packageOf('@jupyterlab/rendermime');
    const { IThemeManager } = await packageOf('@jupyterlab/apputils');
    const FigureRenderer = rendererClass(Widget);
    return {
      id: 'patchwise:figures',
      description: 'Draws the figures of Patchwise, live while a run goes on.',
      autoStart: true,
      requires: [INotebookTracker, IRenderMimeRegistry],
      optional: [IThemeManager],
      activate: (_app, notebooks, rendermime, themes) => {
        const factory = (session) => ({
          safe: true, // data for Plotly: nothing in it runs, so untrusted notebooks may show it too
          mimeTypes: [MIME],
          defaultRank: 0,
          createRenderer: () => new FigureRenderer(session, themes),
        });
        rendermime.addFactory(factory(undefined), 0); // where there is no notebook and so no kernel: still pictures
        const attend = (panel) => panel.content.rendermime.addFactory(factory(panel.sessionContext), 0);
        notebooks.forEach(attend);
        notebooks.widgetAdded.connect((_, panel) => attend(panel));
      },
    };
  }

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB.patchwise = {
    init(scope) {
      shared = scope;
    },
    async get(module) {
      if (module !== './extension') throw new Error(`patchwise has no module ${module}`);
      const extension = await plugin();
      return () => ({ __esModule: true, default: extension });
    },
  };
})();
