/** The parts of JupyterLab that the extension uses. JupyterLab hands its own packages over when the page runs. */

interface Signal<T> {
  connect(slot: T): void;
  disconnect(slot: T): void;
}

export interface JupyterComm {
  readonly isDisposed: boolean;
  onMsg: (message: CommMessage) => void;
  onClose: () => void;
  open(data: object): void;
  send(data: object, metadata?: object, buffers?: readonly ArrayBuffer[]): void;
  close(): void;
}

export interface CommMessage {
  readonly content: { readonly data: Record<string, unknown> };
  readonly buffers?: readonly (ArrayBuffer | DataView)[];
}

interface JupyterKernel {
  readonly status: string;
  readonly connectionStatus: string;
  createComm(target: string): JupyterComm;
}

/** The session of a notebook, which outlives its kernels. */
export interface JupyterSession {
  readonly ready: Promise<void>;
  readonly session?: { readonly kernel?: JupyterKernel | null } | null;
  readonly kernelChanged: Signal<() => void>;
  readonly statusChanged: Signal<() => void>;
  readonly connectionStatusChanged: Signal<() => void>;
}

/** A bundle of MIME types as a cell's output holds it. `setData` changes what the notebook saves. */
export interface MimeModel {
  readonly data: Readonly<Record<string, unknown>>;
  readonly metadata?: Record<string, unknown>;
  /** Whether the reader has made the outputs, or trusts who did. */
  readonly trusted?: boolean;
  setData(change: { readonly data: Readonly<Record<string, unknown>> }): void;
}

/** Lumino's widget, whose node is the place of an output. */
export interface LuminoWidget {
  readonly node: HTMLElement;
  readonly isDisposed: boolean;
  readonly isVisible: boolean;
  dispose(): void;
}
export type WidgetClass = new () => LuminoWidget;

/** A widget that holds others, one below the other. */
export interface LuminoPanel extends LuminoWidget {
  addWidget(widget: LuminoWidget): void;
  insertWidget(index: number, widget: LuminoWidget): void;
}

/** The package `@lumino/widgets`. */
export interface Lumino {
  readonly Widget: WidgetClass;
  readonly Panel: new () => LuminoPanel;
}

export type MimeRenderer = LuminoWidget & { renderModel(model: MimeModel): Promise<void> };

export interface Themes {
  readonly themeChanged: Signal<() => void>;
}

export interface RenderMime {
  addFactory(factory: RendererFactory, rank?: number): void;
  /** The best type of a bundle that can be shown, which is a safe one if `safe` is 'ensure'. */
  preferredMimeType(
    bundle: Readonly<Record<string, unknown>>,
    safe?: 'ensure' | 'prefer' | 'any',
  ): string | undefined;
  createRenderer(mimeType: string): MimeRenderer;
}

export interface RendererFactory {
  /** Whether what is drawn can run no code of the notebook, so that untrusted notebooks may show it too. */
  readonly safe: boolean;
  readonly mimeTypes: readonly string[];
  readonly defaultRank: number;
  createRenderer(options: object): LuminoWidget;
}

export interface NotebookPanel {
  readonly sessionContext: JupyterSession;
  readonly content: { readonly rendermime: RenderMime };
}

export interface NotebookTracker {
  forEach(visit: (panel: NotebookPanel) => void): void;
  readonly widgetAdded: { connect(slot: (sender: unknown, panel: NotebookPanel) => void): void };
}

/**
 * Keeps the keys that are pressed in a node from JupyterLab's shortcuts, which take arrows and letters for moves between
 * cells. JupyterLab asks the element with the focus before any around it.
 */
export function keepKeys(node: HTMLElement): void {
  node.addEventListener('focusin', ({ target }) => {
    (target as HTMLElement).dataset.lmSuppressShortcuts = 'true';
  });
}
