import type { Command } from 'commander';
import { attach, InvalidArgument, listRuns, type Run, runsRoot } from '../index';
import { duration, runLines, runSummaries, runsSideBySide } from '../internal';
import { nearest } from '../spelling';
import { follow, recordLine, summary } from './follow';
import { compareLines, listLines } from './run-tables';
import { answer, parseCount } from './terminal';

export function addRuns(program: Command): void {
  const runs = program
    .command('runs')
    .description('list, watch, compare, stop, resume, remove runs, read their logs');

  runs
    .command('list', { isDefault: true })
    .description('all runs of this project, newest first')
    .option('--json', 'print one JSON value')
    .allowExcessArguments() // `runs shwo` arrives here too, since `list` is what `runs` alone means
    .action(async (options: { json?: boolean }, list: Command) => {
      if (list.args.length > 0) refuseCommand(runs, list.args[0]!);
      const rows = await runSummaries(await listRuns());
      answer(options.json, rows, () =>
        rows.length === 0
          ? `no runs in ${runsRoot()} yet; PATCHWISE_RUNS names another folder`
          : listLines(rows),
      );
    });

  runs
    .command('show')
    .description('state and last metrics of a run')
    .argument('<run>', 'id or folder')
    .option('--follow', 'follow it until it ends')
    .option('--json', 'print one JSON value')
    .action(async (id: string, options: { follow?: boolean; json?: boolean }) => {
      const run = await attach(id);
      if (options.follow) await follow(run, options.json);
      const [status, course] = [await run.status(), await run.course()];
      const shown = {
        pace: await run.pace(),
        id: run.id,
        dir: run.dir,
        status,
        train: course.last('train'),
        validation: course.last('validation'),
        ...(course.notice && { notice: course.notice }),
      };
      answer(options.json, shown, () => [
        ...summary(run, status),
        ...(course.notice ? [`! ${course.notice}`] : []),
        ...(shown.pace?.left === undefined ? [] : [`${duration(shown.pace.left)} left`]),
        ...[shown.train, shown.validation].filter((record) => record !== undefined).map(recordLine),
      ]);
    });

  runs
    .command('watch')
    .description(
      'a run as it moves: progress, losses, pace, what each rank does; Ctrl-C leaves the run alone',
    )
    .argument('<run>', 'id or folder')
    .option('--once', 'print it once and end')
    .action(async (id: string, options: { once?: boolean }) =>
      watch(await attach(id), options.once === true),
    );

  runs
    .command('compare')
    .description('how the settings and results of runs differ')
    .argument('<runs...>', 'ids or folders')
    .option('--json', 'print one JSON value')
    .action(async (ids: string[], options: { json?: boolean }) => {
      const { differences, results } = await runsSideBySide(await Promise.all(ids.map(attach)));
      answer(options.json, { differences, results }, () => [
        ...compareLines({ differences, results }, process.stdout.columns ?? 100),
      ]);
    });

  runs
    .command('save')
    .description('ask a run for a checkpoint now; it goes on (as SIGUSR1 does)')
    .argument('<run>', 'id or folder')
    .action(async (id: string) => {
      if (!(await (await attach(id)).save()))
        throw new InvalidArgument('run', 'a run that is running here', id);
    });

  runs
    .command('remove')
    .description('remove runs that have ended, with all their files')
    .argument('<runs...>', 'ids or folders')
    .option('--json', 'print one JSON value')
    .action(async (ids: string[], options: { json?: boolean }) => {
      // Look all of them up first, so that a wrong name removes nothing.
      const found = await Promise.all(ids.map(attach));
      for (const run of found) await run.remove();
      answer(options.json, { removed: found.map(({ id }) => id) }, () =>
        found.map(({ id }) => `removed ${id}`),
      );
    });

  runs
    .command('stop')
    .description('end a run; its last checkpoint stays')
    .argument('<run>', 'id or folder')
    .option('--json', 'print one JSON value')
    .action(async (id: string, options: { json?: boolean }) => {
      const run = await attach(id);
      const status = await run.stop();
      answer(options.json, { id: run.id, dir: run.dir, status }, () => summary(run, status));
    });

  runs
    .command('resume')
    .description('go on with a run that has ended, from its newest checkpoint')
    .argument('<run>', 'id or folder')
    .option('--steps <n>', 'a new end, in optimiser steps', parseCount)
    .option('--nproc, --ranks <n>', 'another number of processes', parseCount)
    .option('--accept-changes', 'go on although its data or settings have changed')
    .option('--follow', 'show its progress until it ends')
    .option('--json', 'print one JSON value')
    .action(async (id: string, options: ResumeCommandOptions) => {
      const { steps, ranks, acceptChanges } = options;
      const run = await (await attach(id)).resume({ steps, ranks, acceptChanges });
      if (options.follow) await follow(run, options.json);
      const status = await run.status();
      answer(options.json, { id: run.id, dir: run.dir, status }, () => [
        ...summary(run, status),
        ...(options.follow ? [] : [`follow it with: npx patchwise runs watch ${run.id}`]),
      ]);
    });

  runs
    .command('logs')
    .description('what the ranks and the supervisor wrote')
    .argument('<run>', 'id or folder')
    .option('--json', 'print one JSON value')
    .action(async (id: string, options: { json?: boolean }) => {
      const logs = await (await attach(id)).logs();
      answer(options.json, logs, () =>
        Object.entries(logs).flatMap(([name, text]) => [`== ${name}`, text.trimEnd()]),
      );
    });
}

/** The error of commander for an unknown command, which it leaves out if there is a default command. */
function refuseCommand(parent: Command, name: string): never {
  const meant = nearest(
    name,
    parent.commands.map((command) => command.name()),
  );
  parent.error(`error: unknown command '${name}'${meant ? `\n(Did you mean ${meant}?)` : ''}`);
}

interface ResumeCommandOptions {
  steps?: number;
  ranks?: number;
  acceptChanges?: boolean;
  follow?: boolean;
  json?: boolean;
}

/** Redraws a run in place on a terminal; elsewhere prints it when it has changed, at most every five seconds. */
async function watch(run: Run, once: boolean): Promise<void> {
  const live = process.stdout.isTTY === true && !once;
  const course = await run.course();
  for (let painted = 0, step = -1; ; ) {
    const status = await run.status();
    await course.update();
    const ended = !['starting', 'running'].includes(status.state);
    const lines = runLines(run.id, status, course.records, process.stdout.columns ?? 100);
    if (course.notice) lines.push(`! ${course.notice}`);
    if (live && painted > 0) process.stdout.write(`\u001b[${painted}A\u001b[J`);
    if (live || ended || status.step !== step) process.stdout.write(`${lines.join('\n')}\n`);
    painted = lines.length;
    step = status.step;
    if (once || ended) return;
    await new Promise((resolve) => setTimeout(resolve, live ? 1000 : 5000));
  }
}
