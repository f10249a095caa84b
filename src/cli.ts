#!/usr/bin/env node
import './early-signals';
import { Command } from 'commander';
import { addBackend } from './cli/backend';
import { addBench } from './cli/bench';
import { addCodes } from './cli/codes';
import { addCompare } from './cli/compare';
import { addConfig } from './cli/config';
import { addDoctor } from './cli/doctor';
import { addEvaluate } from './cli/evaluate';
import { exitCodeOf, nameRefusedOptions, tellFailure } from './cli/failure';
import { addInterchange } from './cli/interchange';
import { addNotebook } from './cli/notebook';
import { addPlan } from './cli/plan';
import { addPrepare } from './cli/prepare';
import { addTrain } from './cli/train';
import { version } from './index';

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
    addConfig,
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
  nameRefusedOptions(program);
  endWithoutReader(process.stdout);
  endWithoutReader(process.stderr);
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    const told = tellFailure(error);
    if (told !== undefined) process.stderr.write(`patchwise: ${told}\n`);
  }
}

/**
 * `patchwise runs | head` closes the pipe: nobody reads the rest, and that is no failure. Ranks and their supervisor
 * go on: a log that nobody reads any more must not end a training.
 */
function endWithoutReader(stream: NodeJS.WriteStream): void {
  const trains = ['rank', 'supervise'].includes(process.argv[2] ?? '');
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (!trains) process.exit();
  });
}

void main();
