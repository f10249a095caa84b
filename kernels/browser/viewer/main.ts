/**
 * The viewer of volumes as one script, which sets `globalThis.patchwiseViewer`. JupyterLab loads it when it first shows
 * a volume; a report carries it if it shows one.
 */
import type { VolumesBundle } from '../../../src/volumes-bundle';
import { type Connect, Viewer } from './viewer';

let hasWebGl: boolean | undefined;

/** Whether this browser can draw volumes. Tried once: each try takes one of the page's few contexts. */
function canDraw(): boolean {
  if (hasWebGl !== undefined) return hasWebGl;
  const gl = document.createElement('canvas').getContext('webgl2');
  hasWebGl = gl !== null && typeof DecompressionStream === 'function';
  gl?.getExtension('WEBGL_lose_context')?.loseContext();
  return hasWebGl;
}

/** A viewer in its place. */
export interface Mounted {
  /** Shows another bundle of the same kind; what the reader chose stays. */
  show(bundle: VolumesBundle): Promise<void>;
  dispose(): void;
}

const patchwiseViewer = {
  canDraw,
  /** Shows a bundle in a node until `dispose` is called. @param connect a way to the kernel, if there may be one */
  mount: (node: HTMLElement, bundle: VolumesBundle, connect?: Connect): Mounted =>
    new Viewer(node, bundle, connect),
};

export type { Connect };
export type PatchwiseViewer = typeof patchwiseViewer;
(globalThis as { patchwiseViewer?: PatchwiseViewer }).patchwiseViewer = patchwiseViewer;
