/** What a command used and what it left out, by the names of the tree. */
import { join } from 'node:path';
import { onOneLine } from '../../src/escape';

export interface Observed {
  readonly used: readonly string[];
  readonly leftOut: Readonly<Record<string, string>>;
}

interface LeftOut {
  readonly file: string;
  readonly reason: string;
}

/** Names and reasons as they would be shown if every path began at the tree. */
export function observed(root: string, used: readonly string[], leftOut: readonly LeftOut[]): Observed {
  const plain = (text: string) => onOneLine(withoutRoot(root, text));
  return {
    used: used.map(plain).sort(),
    leftOut: Object.fromEntries(leftOut.map(({ file, reason }) => [plain(file), plain(reason)])),
  };
}

/** A text in which every path begins at the tree. */
export function withoutRoot(root: string, text: string): string {
  return text.replaceAll(join(root, 'scans/'), '').replaceAll('scans/', '');
}

/** The lines `left out FILE: REASON` of a command. */
export function leftOutOf(stderr: string): LeftOut[] {
  const lines = [...stderr.matchAll(/^(?:patchwise: )?left out (.+?): (.*)$/gm)];
  return lines.map(([, file, reason]) => ({ file: file!, reason: reason! }));
}
