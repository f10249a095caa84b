/** The look of viewers. Colours of text come from JupyterLab's theme or from the report; pictures are on black. */

const STYLE = `
.patchwise-viewer { --viewer-ink: var(--jp-ui-font-color1, var(--ink, #1c2126)); --viewer-quiet: var(--jp-ui-font-color1, var(--quiet, #5d6772));
  --viewer-line: color-mix(in srgb, var(--viewer-ink) 35%, transparent); --viewer-pressed: #0b5cad;
  color: var(--viewer-ink); font: 12px/1.35 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; max-width: 1400px; container-type: inline-size; }
.patchwise-viewer * { box-sizing: border-box; }
.patchwise-viewer [hidden] { display: none !important; }
.patchwise-viewer .heading { font-size: 14px; line-height: 20px; font-weight: 600; margin: 4px 0; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.patchwise-viewer .tools { display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: center; margin: 4px 0 6px; }
.patchwise-viewer .choice { display: inline-flex; }
.patchwise-viewer .tools button, .patchwise-viewer .tools select { font: inherit; color: inherit; height: 26px; padding: 0 9px; margin: 0;
  background: transparent; border: 1px solid var(--viewer-line); border-radius: 4px; cursor: pointer; max-width: 13em; }
.patchwise-viewer .tools select { padding: 0 4px; }
.patchwise-viewer .tools option { color: #1c2126; background: #fff; }
.patchwise-viewer .choice button { border-radius: 0; margin-left: -1px; }
.patchwise-viewer .choice button:first-child { border-radius: 4px 0 0 4px; margin-left: 0; }
.patchwise-viewer .choice button:last-child { border-radius: 0 4px 4px 0; }
.patchwise-viewer .tools button:hover:enabled:not([aria-pressed=true]) { background: color-mix(in srgb, var(--viewer-ink) 12%, transparent); }
.patchwise-viewer .tools button[aria-pressed=true] { background: var(--viewer-pressed); border-color: var(--viewer-pressed); color: #fff; }
.patchwise-viewer .tools :disabled { opacity: 0.6; cursor: default; }
.patchwise-viewer .tools label { display: inline-flex; gap: 5px; align-items: center; }
.patchwise-viewer .tools input[type=range] { width: 84px; margin: 0; accent-color: var(--viewer-pressed); }
.patchwise-viewer .numbers { font-variant-numeric: tabular-nums; min-width: 9.5em; white-space: pre; }
.patchwise-viewer :focus-visible { outline: 2px solid #1a7fc1; outline-offset: 1px; }
.patchwise-viewer .picture:focus-visible { outline-offset: -2px; }
.patchwise-viewer .picture { position: relative; background: #000; overflow: hidden; cursor: crosshair; touch-action: none; user-select: none; print-color-adjust: exact; }
.patchwise-viewer .picture canvas { position: absolute; inset: 0; width: 100%; height: 100%; display: block; }
.patchwise-viewer .tile { position: absolute; pointer-events: none; color: #fff; container-type: inline-size; }
.patchwise-viewer .tile span:not(:empty) { background: rgb(0 0 0 / 0.75); border-radius: 3px; padding: 0 4px; }
.patchwise-viewer .tile span { position: absolute; white-space: nowrap; }
.patchwise-viewer .tile .name { left: 6px; top: 4px; max-width: calc(100% - 12px); overflow: hidden; text-overflow: ellipsis; }
.patchwise-viewer .tile .second { right: 6px; top: 4px; max-width: 45%; overflow: hidden; text-overflow: ellipsis; }
.patchwise-viewer .tile .slice { right: 6px; bottom: 4px; font-variant-numeric: tabular-nums; }
.patchwise-viewer .tile.active { box-shadow: inset 0 0 0 1px #6db7f2; }
.patchwise-viewer .tile .left { left: 6px; top: 50%; transform: translateY(-50%); }
.patchwise-viewer .tile .right { right: 6px; top: 50%; transform: translateY(-50%); }
.patchwise-viewer .tile .top { top: 4px; left: 50%; transform: translateX(-50%); }
.patchwise-viewer .tile .bottom { bottom: 4px; left: 50%; transform: translateX(-50%); }
/* In a narrow picture its name reaches the letter above. */
@container (max-width: 280px) { .patchwise-viewer .tile .top { top: 24px; } }
.patchwise-viewer .divider { position: absolute; top: 0; bottom: 0; width: 14px; margin-left: -7px; cursor: ew-resize; padding: 0; border: 0;
  background: linear-gradient(90deg, transparent 6px, #fff 6px, #fff 8px, transparent 8px); }
.patchwise-viewer .legend { position: absolute; color: #fff; padding: 0 14px; display: flex; flex-direction: column; justify-content: center; gap: 3px; pointer-events: none; }
.patchwise-viewer .legend .bar { flex: none; height: 12px; }
.patchwise-viewer .legend .ends { display: flex; justify-content: space-between; font-variant-numeric: tabular-nums; }
.patchwise-viewer .status { display: flex; justify-content: space-between; gap: 16px; height: 34px; margin: 4px 0 0; font-variant-numeric: tabular-nums; overflow: hidden; }
.patchwise-viewer .status output { display: block; }
.patchwise-viewer .status .state { text-align: right; color: var(--viewer-quiet); }
/* The values of several volumes take three lines. */
@container (max-width: 1100px) { .patchwise-viewer .status.many { height: 51px; } }
/* Words wrap in a narrow page, and what is below does not move when they change. */
@container (max-width: 700px) { .patchwise-viewer .heading { white-space: normal; } .patchwise-viewer .status { flex-direction: column; gap: 0; height: 8.1em; overflow-y: auto; }
  .patchwise-viewer .status .state { text-align: left; } }
@media print { .patchwise-viewer .tools { display: none; } }
`;

/** Puts the style into the page, once. */
export function addStyle(): void {
  const id = 'patchwise-viewer-style';
  if (document.getElementById(id)) return;
  const style = document.createElement('style');
  style.id = id;
  style.textContent = STYLE;
  document.head.append(style);
}
