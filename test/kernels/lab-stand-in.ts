/**
 * What JupyterLab gives an extension, reduced to what ours uses: packages to share, a notebook with a session and a
 * kernel whose comms the test can read and answer. `window.lab` is the test's handle.
 */
export const STAND_IN = `
class Signal { constructor() { this.slots = new Set(); } connect(f) { this.slots.add(f); } disconnect(f) { this.slots.delete(f); }
  emit() { for (const f of [...this.slots]) f(); } }
class Widget { constructor() { this.node = document.createElement('div'); document.body.appendChild(this.node); this.isVisible = true; }
  addClass(name) { this.node.classList.add(name); } dispose() { this.isDisposed = true; this.node.remove(); } }
const kernel = { status: 'idle', connectionStatus: 'connected', comms: [], createComm(target) {
  const comm = { target, sent: [], isDisposed: false, open(data) { this.opened = data; }, send(data) { this.sent.push(data); }, close() { this.isDisposed = true; this.closed = true; } };
  this.comms.push(comm); return comm; } };
const session = { ready: Promise.resolve(), session: { kernel }, kernelChanged: new Signal(), statusChanged: new Signal(), connectionStatusChanged: new Signal() };
const themes = { themeChanged: new Signal() };
const factories = [];
class Panel extends Widget { constructor() { super(); this.widgets = []; } addWidget(widget) { this.insertWidget(this.widgets.length, widget); }
  insertWidget(at, widget) { this.node.insertBefore(widget.node, this.widgets[at]?.node ?? null); this.widgets.splice(at, 0, widget);
    const { dispose } = widget; widget.dispose = () => { this.widgets = this.widgets.filter((one) => one !== widget); dispose.call(widget); }; }
  dispose() { for (const widget of [...this.widgets]) widget.dispose(); super.dispose(); } }
class Plain extends Widget { constructor(type) { super(); this.type = type; }
  async renderModel({ data }) { this.node.className = 'plain'; this.node.dataset.type = this.type; this.drawn = (this.drawn ?? 0) + 1;
    if (this.type === 'text/html') this.node.innerHTML = data[this.type]; else this.node.textContent = data[this.type]; } }
const own = (type) => factories.findLast(({ mimeTypes }) => mimeTypes.includes(type));
const registry = { addFactory: (factory) => factories.push(factory),
  preferredMimeType: (bundle, safe) => Object.keys(bundle).find((type) => (own(type) && (safe !== 'ensure' || own(type).safe)) || /^text|jupyter/.test(type)),
  createRenderer: (type) => own(type)?.createRenderer({}) ?? new Plain(type) };
const panel = { sessionContext: session, content: { rendermime: registry } };
const notebooks = { forEach: (f) => f(panel), widgetAdded: new Signal() };
const share = (module) => ({ '1.0.0': { loaded: 1, get: async () => () => module } });
window.lab = { get drawing() { return this.widget.node.querySelector('.patchwise-figure'); }, kernel, session, themes, factories, async start() {
  const container = window._JUPYTERLAB.patchwise;
  await container.init({ '@lumino/widgets': share({ Widget, Panel }), '@jupyterlab/notebook': share({ INotebookTracker: 1 }),
    '@jupyterlab/rendermime': share({ IRenderMimeRegistry: 2 }), '@jupyterlab/apputils': share({ IThemeManager: 3 }) });
  const plugin = (await container.get('./extension'))().default;
  plugin.activate({}, notebooks, registry, themes);
  return { id: plugin.id, requires: plugin.requires.length, mime: [...new Set(factories.flatMap((f) => f.mimeTypes))].sort() };
}, render(data, trusted = true) {
  this.model = { data, trusted, stored: [], setData(change) { this.data = change.data; this.stored.push(change.data); } };
  this.widget = registry.createRenderer(registry.preferredMimeType(data, trusted ? 'any' : 'ensure')); return this.widget.renderModel(this.model);
}, receive(data, buffers) { this.kernel.comms.at(-1).onMsg({ content: { data }, buffers }); },
  async switchTheme(isDark) { document.body.dataset.jpThemeLight = String(!isDark); themes.themeChanged.emit();
    document.body.style.display = 'none'; requestAnimationFrame(() => { document.body.style.display = ''; }); await this.frame(); await this.frame(); },
  frame: () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 60))) };
`;

/** What Plotly makes of a node. */
export type PlotNode = HTMLElement & {
  data: { uid: string; x: number[] }[];
  _fullData: { type: string; visible: unknown; xaxis: string }[];
  _fullLayout: { xaxis: { range: number[] }; yaxis: { range: number[] }; font: { color: string } };
};

export interface Lab {
  kernel: {
    status: string;
    comms: {
      target: string;
      opened: unknown;
      sent: Record<string, unknown>[];
      isDisposed: boolean;
      closed?: boolean;
      onClose(): void;
    }[];
  };
  session: { statusChanged: { emit(): void } };
  themes: { themeChanged: { emit(): void } };
  model: { data: Record<string, { figure: unknown }>; trusted: boolean; stored: Record<string, unknown>[] };
  widget: { node: HTMLElement; dispose(): void };
  drawing: PlotNode;
  start(): Promise<unknown>;
  render(data: unknown, trusted?: boolean): Promise<void>;
  receive(data: unknown, buffers?: readonly ArrayBuffer[]): void;
  /** As JupyterLab does it: everything is hidden until the next frame begins. */
  switchTheme(isDark: boolean): Promise<void>;
  frame(): Promise<void>;
}
