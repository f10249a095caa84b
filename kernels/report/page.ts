/** What every report shares: its look and what it may fetch. */
import { CONTROLS_STYLE } from '../../src/controls/controls';

/**
 * Nothing may be fetched, because a report is complete in itself. The browser enforces it.
 * @param hasWidgets modules of widgets are loaded from blobs, which hold nothing that a script of the page could not run
 */
export function policy(hasWidgets: boolean): string {
  const scripts = hasWidgets ? "'unsafe-inline' blob:" : "'unsafe-inline'";
  return `default-src 'none'; script-src ${scripts}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:`;
}

/** A script that does not end its own element. */
export function embeddable(source: string): string {
  return source.replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');
}

export const STYLE = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2126; --quiet: #5d6772; --rule: #e2e6ea; --wash: #f5f7f8;
  --keyword: #8250a8; --string: #0a6b4f; --number: #a04a00; --comment: #6a737d; --error: #b3261e; --link: #0b66b0; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e4e7ea; --quiet: #9aa4ae; --rule: #2c3238;
  --wash: #1c2024; --keyword: #c9a3e8; --string: #7fd1ae; --number: #f0a868; --comment: #8a949e; --error: #ff8a80; --link: #6db7f2; } }
@media print { :root { --paper: #fff; --ink: #000; --quiet: #444; --rule: #ccc; --wash: #f7f7f7; --keyword: #5a3080;
  --string: #0a5a40; --number: #803a00; --comment: #555; } .figure, pre, table, img { break-inside: avoid; } h1, h2, h3, section:has(> :is(h1, h2, h3):last-child), pre.code { break-after: avoid; }
  /* Volumes that were not in sight have no picture yet: paper gets the still one. */
  .figure:has(.patchwise-viewer:not(.drawn)) > :not(.on-paper), .figure:not(:has(.patchwise-viewer:not(.drawn))) > .on-paper { display: none; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1, h2, h3 { line-height: 1.25; margin: 2.2em 0 0.6em; } h1 { font-size: 1.9rem; margin-top: 0; } h2 { font-size: 1.35rem; }
a { color: var(--link); }
code, pre { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
p code, li code, td code { background: var(--wash); padding: 0.1em 0.3em; border-radius: 3px; }
pre { margin: 0.6rem 0; padding: 0.7rem 0.9rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; border-radius: 4px; }
pre.code { background: var(--wash); border: 1px solid var(--rule); }
pre.output { padding: 0.2rem 0.9rem; color: var(--quiet); max-height: 30rem; overflow-y: auto; }
pre.stderr, pre.error { color: var(--error); }
.output { margin: 0.4rem 0 1rem; }
.note { margin-top: -0.6rem; color: var(--quiet); font-size: 0.85rem; }
/* Foreign HTML draws only within its own box, whatever its styles say. */
.foreign { contain: layout paint; overflow-x: auto; }
.figure { margin: 0.8rem 0 1.4rem; }
/* In less width the words of a table wrap, and its last rows no longer fit its height. */
@media screen { .on-paper { display: none; } .wide { overflow: auto hidden; } .figure:not([data-volumes]), .figure .plot { min-width: 800px; } }
.keyword { color: var(--keyword); } .string { color: var(--string); } .number { color: var(--number); } .comment { color: var(--comment); }
table { border-collapse: collapse; margin: 0.8rem 0; font-variant-numeric: tabular-nums; } caption { color: var(--quiet); text-align: left; }
th, td { padding: 0.3rem 0.8rem; border-bottom: 1px solid var(--rule); } th { border-bottom-width: 2px; text-align: left; }
img { max-width: 100%; } blockquote { margin: 1em 0; padding-left: 1em; border-left: 3px solid var(--rule); color: var(--quiet); }
${CONTROLS_STYLE}.interaction > .note { margin-top: -0.2rem; }
.interaction { --controls-ink: var(--ink); --controls-quiet: var(--quiet); --controls-field: var(--wash); --controls-rule: #767f8c; --controls-mark: var(--link); }
.widget-frame { display: block; width: 100%; height: 150px; border: 0; margin: 0.4rem 0 1rem; }
footer { margin-top: 4rem; padding-top: 0.8rem; border-top: 1px solid var(--rule); color: var(--quiet); font-size: 0.85rem; }
`;
