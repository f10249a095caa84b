/** The cells of this kernel's session, as history_request asks for them. */
import type { Json } from './wire';

/** One kernel process is one session; nothing is kept on disk. */
const SESSION = 1;

interface Entry {
  readonly line: number;
  readonly code: string;
  output: string | null;
}

type HistoryRow = [session: number, line: number, input: string | [input: string, output: string | null]];

export class History {
  readonly #entries: Entry[] = [];

  add(line: number, code: string): void {
    this.#entries.push({ line, code, output: null });
  }

  /** Notes the printed last value of a cell. */
  setOutput(line: number, output: string): void {
    const entry = this.#entries.findLast((candidate) => candidate.line === line);
    if (entry) entry.output = output;
  }

  /** The rows that a history_request asks for, oldest first. */
  answer(request: Json): HistoryRow[] {
    const withOutput = request.output === true;
    return this.#select(request).map(({ line, code, output }) => [
      SESSION,
      line,
      withOutput ? [code, output] : code,
    ]);
  }

  #select(request: Json): Entry[] {
    const entries = this.#entries;
    const count = typeof request.n === 'number' ? request.n : Number.POSITIVE_INFINITY;
    switch (request.hist_access_type) {
      case 'tail':
        return last(entries, count);
      case 'range': {
        // Session 0 is the present one, negative ones count back from it. There is only ours.
        if (request.session !== 0 && request.session !== SESSION) return [];
        const start = typeof request.start === 'number' ? request.start : 1;
        const stop = typeof request.stop === 'number' ? request.stop : Number.POSITIVE_INFINITY;
        return entries.filter(({ line }) => line >= start && line < stop);
      }
      case 'search': {
        const pattern = globPattern(typeof request.pattern === 'string' ? request.pattern : '*');
        const found = entries.filter(({ code }) => pattern.test(code));
        return last(request.unique === true ? lastOfEach(found) : found, count);
      }
      default:
        return [];
    }
  }
}

function last(entries: readonly Entry[], count: number): Entry[] {
  return count > 0 ? entries.slice(-count) : [];
}

function lastOfEach(entries: readonly Entry[]): Entry[] {
  return entries.filter((entry, at) => entries.findLastIndex(({ code }) => code === entry.code) === at);
}

/** `*` any text, `?` any character, as in IPython. */
function globPattern(glob: string): RegExp {
  const source = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's');
}
