#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { addBackend } from './cli/backend';
import { addBench } from './cli/bench';
import { addCodes } from './cli/codes';
import { addCompare } from './cli/compare';
import { addDoctor } from './cli/doctor';
import { addEvaluate } from './cli/evaluate';
import { addInterchange } from './cli/interchange';
import { addNotebook } from './cli/notebook';
import { addPlan } from './cli/plan';
import { addPrepare } from './cli/prepare';
import { addTrain } from './cli/train';
import { isPatchwiseError, version } from './index';

/** Exit codes: 0 done, 1 the work failed, 2 wrong usage. */
async function main(): Promise<void> {
  const program = new Command('patchwise')
    .description('Train 3D VQ-GANs on full-resolution CT, patch by patch, in ranks.')
    .version(version())
    .exitOverride()
    .showHelpAfterError('(add --help for what is allowed)');
  for (const add of [
    addPlan,
    addPrepare,
    addTrain,
    addEvaluate,
    addCompare,
    addCodes,
    addInterchange,
    addNotebook,
    addBackend,
    addBench,
    addDoctor,
  ])
    add(program);
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = report(error);
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const wrongUsage = isPatchwiseError(error, 'InvalidArgument') || isPatchwiseError(error, 'InvalidConfig');
  // What a person stopped needs no place in our code.
  const plain = isPatchwiseError(error) || (error instanceof Error && error.name === 'AbortError');
  const message = plain ? error.message : error instanceof Error ? error.stack : error;
  process.stderr.write(`patchwise: ${message}\n`);
  return wrongUsage ? 2 : 1;
}

void main();
