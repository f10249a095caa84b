#!/usr/bin/env node
import './early-signals';
import { exitCodeOf, tellFailure } from './cli/failure';
import { createProgram } from './cli/program';
import { tell } from './cli/terminal';

async function main(): Promise<void> {
  endWithoutReader(process.stdout);
  endWithoutReader(process.stderr);
  try {
    await createProgram().parseAsync();
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    const told = tellFailure(error);
    if (told !== undefined) tell(`patchwise: ${told}`);
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
