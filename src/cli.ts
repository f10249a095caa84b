#!/usr/bin/env node
import './early-signals';
import { tellFailure } from './cli/failure';
import { runCommandLine } from './cli/program';
import { tellText } from './cli/terminal';

async function main(): Promise<void> {
  endWithoutReader(process.stdout);
  endWithoutReader(process.stderr);
  await runCommandLine(process.argv.slice(2));
}

/**
 * `patchwise runs | head` closes the pipe: nobody reads the rest, and that is no failure. Ranks and their supervisor
 * go on: a log that nobody reads any more must not end a training.
 */
function endWithoutReader(stream: NodeJS.WriteStream): void {
  const trains = ['rank', 'supervise'].includes(process.argv[2] ?? '');
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (trains && error.code !== 'EPIPE') throw error;
    if (trains) return;
    if (error.code === 'EPIPE') process.exit();
    // Such as a full disk below `> results.txt`.
    if (stream === process.stdout)
      tellText(`patchwise: ${tellFailure(Object.assign(error, { path: 'the output' }))}`);
    process.exit(1);
  });
}

void main();
