import { Command } from 'commander';
import { version } from '../index';
import { addBackend } from './backend';
import { addBench } from './bench';
import { addCodes } from './codes';
import { addCompare } from './compare';
import { addConfig } from './config';
import { addConvert } from './convert';
import { addDoctor } from './doctor';
import { addEvaluate } from './evaluate';
import { exitCodeOf, exitCodes, tellFailure } from './failure';
import { addInterchange } from './interchange';
import { addNotebook } from './notebook';
import { addPlan } from './plan';
import { addPrepare } from './prepare';
import { tellText } from './terminal';
import { addTrain } from './train';

const commands = [
  addPlan,
  addConvert,
  addPrepare,
  addTrain,
  addConfig,
  addEvaluate,
  addCompare,
  addCodes,
  addInterchange,
  addNotebook,
  addBackend,
  addBench,
  addDoctor,
];

/** `patchwise` with all its commands. */
export function createProgram(): Command {
  const program = new Command('patchwise')
    .description('Train 3D VQ-GANs on full-resolution CT, patch by patch, in ranks.')
    .version(version())
    .exitOverride()
    .showHelpAfterError('(add --help for what is allowed)');
  for (const add of commands) add(program);
  program.addHelpText('afterAll', `\n${exitCodes}`);
  return program;
}

/** Does what a command line says. A failure becomes the exit code of this process and a line on stderr. */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync(args, { from: 'user' });
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    const told = tellFailure(error);
    if (told !== undefined) tellText(`patchwise: ${told}`);
  }
}
