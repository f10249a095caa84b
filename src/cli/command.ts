import { Argument, type Command, type CommandOptions, InvalidArgumentError, Option } from 'commander';
import { InvalidArgument } from '../index';
import { escapeControls } from '../internal';
import { parseCount, parseIntensity, parsePositive, parseSize } from './terminal';

/** Reads a value that the user typed, or the values to choose from. @throws InvalidArgument for a wrong value */
type Reader = ((text: string) => unknown) | readonly string[];

/** What a command answers: a value for `--json`, and lines for a person. */
export type Answer = readonly [value: unknown, lines: string | readonly string[]];

interface CommandParts extends CommandOptions {
  readonly does: string;
  /**
   * Its arguments and options as the help shows them: on each line the term, two blanks or more, and the meaning. The
   * meaning may go on below, and end with `(required)` or `(default: 5)`.
   */
  readonly takes?: string;
  /** How values are read, by name of the argument or option; without a reader, `readers` decides. */
  readonly reads?: Readonly<Record<string, Reader>>;
  /** What it does where it answers nothing. */
  readonly run?: (...args: never[]) => unknown;
  /**
   * What it does where it answers; nothing is printed for undefined. The command then takes `--json`, which its options
   * lack: `wantsJson` tells.
   */
  readonly answers?: (...args: never[]) => Promise<Answer | undefined> | Answer;
}

/**
 * Readers by what stands in the brackets, for every command: `<n>` is a count from 1, `<which>` is `best` or `last`. A
 * value in other brackets stays text.
 */
const readers: Readonly<Record<string, Reader>> = {
  n: parseCount,
  seconds: parsePositive,
  'n | x,y,z': parseSize,
  'mm | x,y,z': parseSize,
  'name | low,high': parseIntensity,
  which: ['best', 'last'],
};

/** Options of the commands that use a model. */
export const workersOption =
  '--workers <n>  threads that compute patches; default: as many as backend, cores and memory allow';
export const dtypeOption =
  '--dtype <type>  data type of the voxels; default: float32, and in a file that of the volume if it has whole numbers';
export const checkpointOption =
  '--checkpoint <which>  which checkpoint of a run; default: the best by validation, or the last if the best is ' +
  'older than the discriminators';
export const modelOptions = `${checkpointOption}
  --stride <n | x,y,z>  distance of neighbouring patches, if not that of the training
  --intensity <name | low,high>  auto, ctpa, lung, mediastinum, minmax, or two values; default: as in the training
  ${workersOption}`;

export function addCommand(
  parent: Command,
  name: string,
  { does, takes = '', reads = {}, run, answers, ...options }: CommandParts,
): Command {
  const command = parent.command(name, options).description(does);
  const help = answers ? `${takes}\n--json  print one JSON value` : takes;
  const lines = help.trim() === '' ? [] : help.trim().split(/\n\s*(?=[-<[])/);
  const names = lines.map((line) => addPart(command, line.replace(/\n\s*/g, ' '), reads));
  const strange = Object.keys(reads).find((key) => !names.includes(key));
  if (strange) throw new Error(`${name}: no argument or option is named ${strange}`);
  if (run) command.action(run as () => Promise<void>);
  if (answers)
    command.action(async (...args) => {
      const { json: _, ...given } = command.opts();
      const values = args.slice(0, -2);
      print(await answers(...([...values, given, command] as never[])), command);
    });
  return command;
}

/** Whether the user of a command that answers asks for JSON. */
export function wantsJson(command: Command): boolean {
  return command.opts().json === true;
}

/** Returns the name of the part. */
function addPart(command: Command, line: string, reads: Readonly<Record<string, Reader>>): string {
  const [, term, meaning, fallback] = /^(.*?) {2,}(.*?)(?: \(default: (.*)\))?$/.exec(line) ?? [];
  if (term === undefined) throw new Error(`${command.name()}: no term, two blanks and meaning: ${line}`);
  const option = term.startsWith('-') ? new Option(term, meaning) : undefined;
  const part = option ?? new Argument(term, meaning);
  const name = option?.attributeName() ?? part.name();
  const kind = /[<[](.*?)(?:\.{3})?[>\]]/.exec(term)?.[1] ?? '';
  const reader = reads[name] ?? readers[kind];
  const read = typeof reader === 'function' ? reader : (text: string) => text;
  if (reader === read)
    part.argParser((text: string, before: unknown) => {
      const value = named(() => read(text));
      if (!part.variadic) return value;
      return before === part.defaultValue ? [value] : [...(before as unknown[]), value];
    });
  else if (reader) part.choices(reader as readonly string[]);
  if (fallback !== undefined)
    part.default(part.variadic ? fallback.split(' ').map(read) : read(fallback), fallback);
  if (!option) command.addArgument(part as Argument);
  else command.addOption(option.makeOptionMandatory(meaning!.endsWith('(required)')));
  return name;
}

/** Makes an error of ours one of commander, which names the option: `option '--steps <n>' argument 'ten' is invalid`. */
function named<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof InvalidArgument)) throw error;
    const { expected, allowed } = error;
    throw new InvalidArgumentError(`Expected ${expected}${allowed ? `: ${allowed.join(', ')}` : ''}.`);
  }
}

/** Prints the answer of a command, also of one that fails after a part of its work. */
export function print(answer: Answer | undefined, command: Command): void {
  if (!answer) return;
  const [value, lines] = answer;
  const text = wantsJson(command)
    ? JSON.stringify(value, null, 2)
    : escapeControls([lines].flat().join('\n'));
  process.stdout.write(`${text}\n`);
}
