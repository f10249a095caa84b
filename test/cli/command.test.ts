import { Command, type CommanderError } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { addCommand } from '../../src/cli/command';
import { exitCodeOf } from '../../src/cli/failure';

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
  return parent;
}

afterEach(() => vi.restoreAllMocks());

async function called(...args: string[]): Promise<string> {
  let out = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  await program().parseAsync(['train', '--name', 'a', ...args], { from: 'user' });
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
  });

  it.each([
    [['--steps', 'ten'], "'--steps <n>'", 'a whole number above 0'],
    [['--steps', '0'], "'--steps <n>'", 'a whole number above 0'],
    [['--timeout', '-1'], "'--timeout <seconds>'", 'a number above 0'],
    [['--engine', 'deno'], "'--engine <name>'", 'Allowed choices are typescript, tslab'],
    [[], '--name <text>', 'not specified'],
  ])('names the option of %j', (args, option, expected) => {
    let error: unknown;
    try {
      program().parse(['train', ...args], { from: 'user' });
    } catch (thrown) {
      error = thrown as CommanderError;
    }
    expect(exitCodeOf(error)).toBe(2);
    expect(told).toContain(option);
    expect(told).toContain(expected);
  });
});
