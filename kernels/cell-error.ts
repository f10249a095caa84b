/** What a cell threw, as the three fields of an `error` message. */
import { inspect } from 'node:util';
import type { CellSources } from './cell-source';
import type { CellError } from './engine';
import { CellInterrupted } from './interrupts';

export const INTERRUPTED = 'Interrupted';
const RED = '\u001b[31m';
const RESET = '\u001b[39m';

/** Frames that say how cells are run rather than what went wrong in one. */
const MACHINERY =
  /node:internal|node:vm|[\\/]tslab[\\/]dist[\\/]|[\\/]kernels[\\/][\w-]+\.[jt]s:|AsyncLocalStorage\.run/;

const FRAME = /^\s+at /;

/** A stack that was printed before has been rewritten then. */
const stacks = new WeakMap<object, string>();

/** The stack with the lines of cells as the user wrote them, and without the frames that run them. */
export function stackOf(error: Error, sources: CellSources): string {
  const known = stacks.get(error);
  if (known !== undefined) return known;
  const lines = sources.rewrite(error.stack ?? '').split('\n');
  const stack = withoutOuterScript(lines.filter((line) => !(FRAME.test(line) && MACHINERY.test(line)))).join(
    '\n',
  );
  stacks.set(error, stack);
  return stack;
}

/** Describes any thrown value; a stack keeps the frames of cells and of the user's own modules. */
export function describeError(thrown: unknown, sources: CellSources): CellError {
  if (isInterruption(thrown)) {
    return named(INTERRUPTED, 'the cell was interrupted', []);
  }
  if (!isErrorLike(thrown)) return named('Thrown', inspect(thrown), []);
  const frames = stackOf(thrown, sources)
    .split('\n')
    .filter((line) => FRAME.test(line));
  const excerpt = sources.excerpt(frames.join('\n'));
  const trace = [...(excerpt ? [excerpt] : []), ...frames, ...causesOf(thrown, sources)];
  return named(thrown.name || 'Error', String(thrown.message), trace);
}

function named(ename: string, evalue: string, trace: readonly string[]): CellError {
  return { ename, evalue, traceback: [`${RED}${ename}${RESET}: ${evalue}`, ...trace] };
}

/** A cell runs as a function that a script of the same name calls: the frame of that call says nothing. */
function withoutOuterScript(frames: readonly string[]): string[] {
  const bare = /^\s+at (?:async )?(Cell \[\d+\]):/;
  return frames.filter((frame, at) => {
    const cell = bare.exec(frame)?.[1];
    return cell === undefined || bare.exec(frames[at - 1] ?? '')?.[1] !== cell;
  });
}

function causesOf(error: Error, sources: CellSources): string[] {
  const { cause } = error;
  if (cause === undefined || cause === error) return [];
  const { traceback } = describeError(cause, sources);
  return [`Caused by: ${traceback[0]}`, ...traceback.slice(1)];
}

// Not instanceof: an error may come from another realm, for instance a vm context.
function isErrorLike(value: unknown): value is Error {
  return typeof value === 'object' && value !== null && 'message' in value && 'stack' in value;
}

function isInterruption(thrown: unknown): boolean {
  if (thrown instanceof CellInterrupted) return true;
  if (!isErrorLike(thrown)) return false;
  const code = (thrown as NodeJS.ErrnoException).code;
  return code === 'ERR_SCRIPT_EXECUTION_INTERRUPTED' || thrown.message === 'Interrupted asynchronously';
}
