/**
 * A widget of the notebook's author in a report. Its module is code, and a report may be of a notebook that its reader does
 * not trust. So it runs in a sandboxed frame, which has no access to the page around it, and inherits the page's policy: it
 * fetches nothing.
 */
import { readFileSync } from 'node:fs';
import type { StoredWidget } from '../../src/controls/widget-bundle';
import { escapeHtml } from '../../src/escape';
import { compiledFile } from '../../src/package';
import { embeddable } from './page';

const FRAME_STYLE =
  ':root { color-scheme: light dark } body { margin: 0; font: 14px/1.5 system-ui, sans-serif } #widget { display: flow-root }';

export function widgetFrame(stored: StoredWidget): string {
  const script = readFileSync(compiledFile('kernels', 'browser', 'widget-frame.js'), 'utf8');
  const page =
    `<!DOCTYPE html><meta charset="utf-8"><style>${FRAME_STYLE}</style><div id="widget"></div>` +
    `<script type="application/json" id="stored">${JSON.stringify(stored).replaceAll('<', '\\u003c')}</script>` +
    `<script>${embeddable(script)}</script>`;
  return `<iframe class="widget-frame" title="widget" sandbox="allow-scripts" srcdoc="${escapeHtml(page)}"></iframe>`;
}

/** Gives each frame the height that its widget says it needs. */
export const FRAME_HEIGHTS = `addEventListener('message', ({ source, data }) => {
  const height = Number(data && data.patchwiseWidget);
  for (const frame of document.querySelectorAll('.widget-frame'))
    if (frame.contentWindow === source && height > 0) frame.style.height = Math.min(height, 10000) + 'px';
});`;

/** Whether a notebook's value is a widget: whoever wrote the file may have put anything there. */
export function isStoredWidget(value: unknown): value is StoredWidget {
  const { esm, css, state, buffers } = (value ?? {}) as Partial<StoredWidget>;
  if (typeof esm !== 'string' || typeof css !== 'string' || typeof state !== 'object' || state === null)
    return false;
  return Array.isArray(buffers) && buffers.every((one) => Array.isArray(one?.path) && isBase64(one.data));
}

function isBase64(text: unknown): boolean {
  return typeof text === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}
