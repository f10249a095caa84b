import { existsSync, fstatSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { withFile } from '../../atomic-file';

/** The end of what a process of a run wrote. */
interface LogEnd {
  readonly path: string;
  /** Whole lines, the last as it is. */
  readonly text: string;
  /** Bytes of the file before the text. */
  readonly before: number;
}

/** Ends of the logs of a run by name (`supervisor`, `rank-0`, ...). A long run's logs may not fit into memory. */
export function readLogEnds(runDir: string, most: number): Record<string, LogEnd> {
  const folder = join(runDir, 'logs');
  if (!existsSync(folder)) return {};
  const names = readdirSync(folder).filter((name) => name.endsWith('.log'));
  const order = (name: string) => (name === 'supervisor.log' ? -1 : Number(/\d+/.exec(name)?.[0] ?? 0));
  names.sort((a, b) => order(a) - order(b));
  return Object.fromEntries(names.map((name) => [name.slice(0, -4), logEnd(join(folder, name), most)]));
}

/** The last lines of a log, `most` bytes of it at most. A line that is longer begins in its middle. */
export function logEnd(path: string, most: number): LogEnd {
  return withFile(path, 'r', (file) => {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(Math.min(size, most));
    const start = size - bytes.length;
    const end = bytes.subarray(0, readSync(file, bytes, 0, bytes.length, start));
    // The first line is cut somewhere, perhaps within a letter.
    const line = start === 0 ? 0 : end.indexOf('\n') + 1;
    return { path, text: end.subarray(line).toString('utf8'), before: start + line };
  });
}
