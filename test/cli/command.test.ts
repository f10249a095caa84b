import { Command, type CommanderError } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { addCommand } from '../../src/cli/command';
import { exitCodeOf } from '../../src/cli/failure';
import { parseCount, parseSize } from '../../src/cli/terminal';

let told = '';
let printed = '';
let taken: unknown[] = [];

function program(): Command {
  [told, printed, taken] = ['', '', []];
  const writeErr = (text: string) => {
    told += text;
  };
  const writeOut = (text: string) => {
    printed += text;
  };
  const parent = new Command('p').exitOverride().configureOutput({ writeErr, writeOut });
  addCommand(parent, 'train', {
    does: 'trains',
    takes: `
      [size]               x,y,z, or one
                           number
      --steps <n>          steps
      --timeout <seconds>  time (default: 60)
      --parts <n...>       several (default: 1 2)
      --name <text>        a name (required)
      --engine <name>      which`,
    reads: { size: (text) => text.split(','), engine: ['typescript', 'tslab'] },
    answers: (...args) => {
      taken = args.slice(0, 2);
      return [{ done: true }, ['done', 'twice']];
    },
  });
  addCommand(parent, 'cut', {
    does: 'cuts',
    takes: `
      <size>         of a part
      [more...]      other sizes
      --no-cache     forget
      --log [file]   write a log
      --level [n]    how much`,
    reads: { size: parseSize, more: parseCount },
    answers: (...args) => {
      taken = args.slice(0, 3);
      return [{}, ''];
    },
  });
  return parent;
}

afterEach(() => vi.restoreAllMocks());

const called = (...args: string[]) => calledAs('train', '--name', 'a', ...args);

async function calledAs(...args: string[]): Promise<string> {
  let out = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  await program().parseAsync(args, { from: 'user' });
  return out;
}

describe('a command', () => {
  it('has the help from which it was made', () => {
    expect(() => program().parse(['train', '--help'], { from: 'user' })).toThrow();
    expect(printed).toMatch(/^ {2}size +x,y,z, or one number$/m);
    expect(printed).toMatch(/^ {2}--timeout <seconds> +time \(default: 60\)$/m);
    expect(printed).toMatch(/^ {2}--engine <name> +which \(choices: "typescript", "tslab"\)$/m);
    expect(printed).toMatch(/^ {2}--json +print one JSON value$/m);
  });

  it('reads values by their kind, and defaults as if they were typed', async () => {
    await called();
    expect(taken).toEqual([undefined, { timeout: 60, parts: [1, 2], name: 'a' }]);
    await called('1,2', '--steps', '3', '--parts', '4', '--parts', '5', '6');
    expect(taken).toEqual([['1', '2'], { timeout: 60, parts: [4, 5, 6], steps: 3, name: 'a' }]);
  });

  it('answers with lines, or with JSON', async () => {
    expect(await called()).toBe('done\ntwice\n');
    expect(JSON.parse(await called('--json'))).toEqual({ done: true });
    expect(taken[1]).not.toHaveProperty('json');
  });

  it('takes several arguments, options with a value or without, and options that deny', async () => {
    await calledAs('cut', '8');
    expect(taken).toEqual([8, [], { cache: true }]);
    await calledAs('cut', '1,2,3', '4', '5', '--no-cache', '--log', '--level', '6');
    expect(taken).toEqual([[1, 2, 3], [4, 5], { cache: false, log: true, level: 6 }]);
    await calledAs('cut', '8', '--log', 'a.txt', '--level');
    expect(taken).toEqual([8, [], { cache: true, log: 'a.txt', level: true }]);
  });

  it.each([
    ['--steps <n>  steps', { stpes: Number }, 'train: no argument or option is named stpes'],
    ['--steps <n> steps', {}, 'train: no term, two blanks and meaning: --steps <n> steps'],
    ['--steps <n>  steps, one of\n  <n> others', {}, 'meaning: <n> others'],
  ])('does not accept %j with readers %j', (takes, reads, expected) => {
    expect(() => addCommand(new Command(), 'train', { does: '', takes, reads })).toThrow(expected);
  });

  it.each([
    [['--steps', 'ten'], "'--steps <n>'", 'a whole number above 0'],
    [['--steps', '0'], "'--steps <n>'", 'a whole number above 0'],
    [['--timeout', '-1'], "'--timeout <seconds>'", 'a number above 0'],
    [['--engine', 'deno'], "'--engine <name>'", 'Allowed choices are typescript, tslab'],
    [[], '--name <text>', 'not specified'],
  ])('names the option of %j', (args, option, expected) => {
    expectRefusal(['train', ...args], option, expected);
  });

  it('names the value of an argument', () => {
    expectRefusal(['cut', '12,12'], "'12,12' is invalid for argument 'size'", 'one number, or three: x,y,z');
    expectRefusal(['cut', '8', 'ten'], "'ten' is invalid for argument 'more'", 'a whole number above 0');
  });

  function expectRefusal(args: readonly string[], named: string, expected: string): void {
    let error: unknown;
    try {
      program().parse(args, { from: 'user' });
    } catch (thrown) {
      error = thrown as CommanderError;
    }
    expect(exitCodeOf(error)).toBe(2);
    expect(told).toContain(named);
    expect(told).toContain(expected);
  }
});
