/**
 * What a cell threw, as the three fields of an `error` message. A cell may throw anything, even a value that throws when
 * it is read: describing it never throws and always ends.
 */
import { attempt } from '../../src/errors';
import { read, shown, textOf } from '../display/odd-values';
import { CellInterrupted } from '../process/interrupts';
import { runInterruptible } from '../process/run-interruptible';
import type { PlacedMessage } from './compile';
import type { CellError } from './engine';
import { withoutInnerNames } from './inner-names';
import type { CellSources } from './source';

const INTERRUPTED = 'Interrupted';
const RED = '\u001b[31m';
const RESET = '\u001b[39m';

/** Frames of the code that runs cells. */
const MACHINERY =
  /node:internal|node:vm|[\\/]tslab[\\/]dist[\\/]|[\\/]kernels[\\/]([\w-]+[\\/])?[\w-]+\.[jt]s:|AsyncLocalStorage\.run/;

const FRAME = /^\s+at /;

/** The most errors in one description, causes and inner errors together. */
const MOST_ERRORS = 20;
/** Of an error's own fields. */
const FIELDS = { depth: 2, maxArrayLength: 20, maxStringLength: 1000, breakLength: 100 };
const NO_FIELDS = new Set(['name', 'message', 'stack', 'cause', 'errors']);

/** The rewritten stacks. A stack that was printed before must not be rewritten again. */
const stacks = new WeakMap<object, string>();

/** The stack with the lines of cells as the user wrote them, and without the frames that run them. */
export function stackOf(error: object, sources: CellSources): string {
  const known = stacks.get(error);
  if (known !== undefined) return known;
  const raw = read(error, 'stack');
  if (typeof raw !== 'string') return '';
  const lines = (attempt(() => withoutInnerNames(sources.rewrite(raw))) ?? raw).split('\n');
  const stack = withoutOuterScript(lines.filter((line) => !(FRAME.test(line) && MACHINERY.test(line)))).join(
    '\n',
  );
  stacks.set(error, stack);
  return stack;
}

/** Describes any thrown value; a stack keeps the frames of cells and of the user's own modules. */
export function describer(sources: CellSources): (thrown: unknown) => CellError {
  const interrupted = named(INTERRUPTED, 'the cell was interrupted', []);
  return (thrown) =>
    // A getter of the error may never end: an interrupt ends it.
    attempt(() =>
      runInterruptible(() => (isInterruption(thrown) ? interrupted : describe(thrown, sources, new Set()))),
    ) ?? interrupted;
}

/** @param told the errors that the description has so far */
function describe(thrown: unknown, sources: CellSources, told: Set<unknown>): CellError {
  told.add(Object(thrown)); // a new object for what is none: a number may be told twice
  if (!isErrorLike(thrown)) return named('Thrown', shown(thrown), []);
  const frames = stackOf(thrown, sources)
    .split('\n')
    .filter((line) => FRAME.test(line));
  const excerpt = sources.excerpt(frames.join('\n'));
  return named(nameOf(thrown), withoutInnerNames(textOf(read(thrown, 'message'))), [
    ...(excerpt ? [excerpt] : []),
    ...frames,
    ...fieldsOf(thrown),
    ...innerErrors(thrown, sources, told),
  ]);
}

function named(ename: string, evalue: string, trace: readonly string[]): CellError {
  return { ename, evalue, traceback: [`${RED}${ename}${RESET}: ${evalue}`, ...trace] };
}

const BUILT_IN = /^(|Aggregate|Eval|Range|Reference|Syntax|Type|URI)Error$/;

/** The error's name or, if its class gives it none, the name of the class, as `console.log` prints it. */
function nameOf(error: object): string {
  const name = read(error, 'name');
  const ofClass = read(read(error, 'constructor'), 'name');
  const isNamed = typeof name === 'string' && name !== '';
  if (isNamed && (!BUILT_IN.test(name) || attempt(() => Object.hasOwn(error, 'name')))) return name;
  const isClass = attempt(() => error instanceof Error) && typeof ofClass === 'string' && ofClass !== '';
  if (isClass && ofClass !== 'NodeError') return ofClass; // NodeError is Node's own word for any of its errors
  return isNamed ? name : 'Error';
}

/** The error's other fields (`status`, `code`, `body`) in one text; none if it has none. */
function fieldsOf(error: object): string[] {
  const keys = (attempt(() => Object.keys(error)) ?? []).filter((key) => !NO_FIELDS.has(key));
  if (keys.length === 0) return [];
  return [shown(Object.fromEntries(keys.map((key) => [key, read(error, key)])), FIELDS)];
}

/** The errors inside an error: its cause, and each of an AggregateError. Each error is described once. */
function innerErrors(error: object, sources: CellSources, told: Set<unknown>): string[] {
  const list = read(error, 'errors');
  const errors = attempt(() => (Array.isArray(list) ? Array.from(list as unknown[]) : [])) ?? [];
  const cause = read(error, 'cause');
  const inner = [
    ...(cause === undefined ? [] : [{ what: 'Caused by', thrown: cause }]),
    ...errors.map((thrown, at) => ({ what: `Error ${at + 1} of ${errors.length}`, thrown })),
  ];
  const lines: string[] = [];
  for (const { what, thrown } of inner) {
    if (told.has(thrown)) continue;
    if (told.size >= MOST_ERRORS) {
      lines.push('… and more inner errors');
      break;
    }
    const [first, ...rest] = describe(thrown, sources, told).traceback;
    lines.push(`${what}: ${first}`, ...rest);
  }
  return lines;
}

/** A cell runs as a function that a script of the same name calls: the frame of that call says nothing. */
function withoutOuterScript(frames: readonly string[]): string[] {
  const bare = /^\s+at (?:async )?(Cell \[[^\]]+\]):/;
  return frames.filter((frame, at) => {
    const cell = bare.exec(frame)?.[1];
    return cell === undefined || bare.exec(frames[at - 1] ?? '')?.[1] !== cell;
  });
}

// Not instanceof: an error may come from another realm, for instance a vm context.
function isErrorLike(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  return attempt(() => 'message' in value && 'stack' in value) ?? false;
}

/** True for what an interrupt throws. */
export function isInterruption(thrown: unknown): boolean {
  if (attempt(() => thrown instanceof CellInterrupted)) return true;
  if (!isErrorLike(thrown)) return false;
  return (
    read(thrown, 'code') === 'ERR_SCRIPT_EXECUTION_INTERRUPTED' ||
    read(thrown, 'message') === 'Interrupted asynchronously'
  );
}

/** What the compiler found in a cell: every message with its place and the line it is about. */
export function typeErrors(messages: readonly PlacedMessage[], code: string, cell: string): CellError {
  const lines = code.split('\n');
  return diagnosed(
    messages.map(({ offset, text }) => {
      const before = code.slice(0, offset).split('\n');
      const [line, column] = [before.length, before.at(-1)!.length + 1];
      return `Cell [${cell}]:${line}:${column} - ${text}\n${String(line).padStart(9)} ${lines[line - 1]}`;
    }),
  );
}

/** @param diagnostics at least one, each with its place and line */
export function diagnosed(diagnostics: readonly string[]): CellError {
  return { ename: 'TypeScriptError', evalue: diagnostics[0]!.split('\n')[0]!, traceback: diagnostics };
}
