import { cellHook } from '../display-protocol';
import { duration } from '../duration';
import { escapeHtml } from '../escape';
import type { Progress } from '../progress';
import { html, Rich } from './display';

let bars = 0;
const UPDATE_MS = 100;
/** Width of the bar in text, characters. */
const WIDTH = 30;

/**
 * A progress bar that moves in place, to be passed as `onProgress` of any long call:
 *
 * ```ts
 * await pw.prepareDataset('ct.nii.gz', 'prepared', { onProgress: pw.progressBar('prepare') });
 * ```
 *
 * @param what the text before the bar; if not given, what the call says it does
 */
export function progressBar(what?: string): (progress: Progress) => void {
  const id = `patchwise-progress-${process.pid}-${++bars}`;
  const started = performance.now();
  let shown = 0;
  return ({ done, total, what: doing }) => {
    const now = performance.now();
    if (shown !== 0 && now - shown < UPDATE_MS && done < total) return;
    shown = now;
    const drawn = bar(what ?? doing, done, total, (now - started) / 1000);
    const display = cellHook('display');
    if (display) display(drawn, { id });
    else if (process.stderr.isTTY || done >= total) {
      process.stderr.write(`\r${drawn.bundle['text/plain']}${done < total ? '' : '\n'}`);
    }
  };
}

/** The items of `items`, one after the other, with a bar that says how far their reader has come. */
export function* progress<T>(items: Iterable<T> & { readonly length?: number }, what = ''): Generator<T> {
  const all = Array.isArray(items) ? (items as readonly T[]) : [...items];
  const report = progressBar(what);
  report({ done: 0, total: all.length, what });
  for (const [at, item] of all.entries()) {
    yield item;
    report({ done: at + 1, total: all.length, what });
  }
}

function bar(what: string, done: number, total: number, seconds: number): Rich {
  const part = total > 0 ? Math.min(1, done / total) : 1;
  const left = done > 0 && part < 1 ? `, ${timeText((seconds * (1 - part)) / part)} left` : '';
  const count = `${done}/${total}, ${timeText(seconds)}${left}`;
  const full = Math.round(part * WIDTH);
  const text = `${what} [${'#'.repeat(full)}${'.'.repeat(WIDTH - full)}] ${count}`.trim();
  const { bundle } = html(
    `<div>${escapeHtml(what)} <progress value="${part}" max="1" style="width:16em"></progress> ${count}</div>`,
  );
  return new Rich({ ...bundle, 'text/plain': text });
}

/** With tenths below ten seconds, so that a short call's bar moves. */
function timeText(seconds: number): string {
  return seconds < 9.95 ? `${seconds.toFixed(1)} s` : duration(seconds);
}
