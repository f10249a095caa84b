import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { attach, InvalidArgument, listRuns, type Run, runFigure, runsRoot } from '../index';
import { duration, runLines, runSummaries, runsSideBySide } from '../internal';
import { nearest } from '../spelling';
import { addCommand, wantsJson } from './command';
import { follow, recordLine, summary, told } from './follow';
import { compareLines, listLines } from './run-tables';

const aRun = '<run>  id or folder';
const severalRuns = '<runs...>  ids or folders';

interface Following {
  readonly follow?: boolean;
}

interface Showing extends Following {
  readonly figure?: string;
}

export function addRuns(program: Command): void {
  const runs = program
    .command('runs')
    .description('list, watch, compare, stop, resume, remove runs, read their logs');

  addCommand(runs, 'list', {
    does: 'all runs of this project, newest first',
    isDefault: true,
    answers: async (_: object, list: Command) => {
      if (list.args.length > 0) refuseCommand(runs, list.args[0]!);
      const rows = await runSummaries(await listRuns());
      const none = `no runs in ${runsRoot()} yet; PATCHWISE_RUNS names another folder`;
      return [rows, rows.length === 0 ? none : listLines(rows)];
    },
  }).allowExcessArguments(); // `runs shwo` arrives here too, since `list` is what `runs` alone means

  addCommand(runs, 'show', {
    does: 'state and last metrics of a run',
    takes: `
      ${aRun}
      --follow         follow it until it ends
      --figure <path>  save its curves for a paper: .svg, .pdf or .png`,
    answers: async (name: string, options: Showing, command: Command) => {
      const run = await attach(name);
      const { id, dir } = run;
      if (options.follow) await follow(run, wantsJson(command));
      const [status, course, pace] = [await run.status(), await run.course(), await run.pace()];
      const [train, validation] = [course.last('train'), course.last('validation')];
      if (options.figure) await runFigure(course.records, status, { title: id }).save(options.figure);
      const { notice } = course;
      return [
        { pace, id, dir, status, train, validation, ...(notice && { notice }) },
        [
          ...summary(run, status),
          ...(notice ? [`! ${notice}`] : []),
          ...(pace?.left === undefined ? [] : [`${duration(pace.left)} left`]),
          ...[train, validation].filter((record) => record !== undefined).map(recordLine),
        ],
      ];
    },
  });

  addCommand(runs, 'watch', {
    does: 'a run as it moves: progress, losses, pace, what each rank does; Ctrl-C leaves the run alone',
    takes: `
      ${aRun}
      --once  print it once and end`,
    run: async (id: string, { once = false }: { once?: boolean }) => watch(await attach(id), once),
  });

  addCommand(runs, 'compare', {
    does: 'how the settings and results of runs differ',
    takes: severalRuns,
    answers: async (ids: string[]) => {
      const { differences, results } = await runsSideBySide(await Promise.all(ids.map(attach)));
      const answer = { differences, results };
      return [answer, compareLines(answer, process.stdout.columns ?? 100)];
    },
  });

  addCommand(runs, 'save', {
    does: 'ask a run for a checkpoint now; it goes on (as SIGUSR1 does)',
    takes: aRun,
    run: async (id: string) => {
      const asked = await (await attach(id)).save();
      if (!asked) throw new InvalidArgument('run', 'a run that is running here', id);
    },
  });

  addCommand(runs, 'remove', {
    does: 'remove runs that have ended, with all their files',
    takes: severalRuns,
    answers: async (names: string[]) => {
      // Look all of them up first, so that a wrong name removes nothing.
      const found = await Promise.all(names.map(attach));
      for (const run of found) await run.remove();
      const ids = found.map(({ id }) => id);
      return [{ removed: ids }, ids.map((id) => `removed ${id}`)];
    },
  });

  addCommand(runs, 'stop', {
    does: 'end a run; its last checkpoint stays',
    takes: aRun,
    answers: async (name: string) => {
      const run = await attach(name);
      return told(run, await run.stop());
    },
  });

  addCommand(runs, 'resume', {
    does: 'go on with a run that has ended, from its newest checkpoint',
    takes: `
      ${aRun}
      --steps <n>           a new end, in optimiser steps
      --nproc, --ranks <n>  another number of processes
      --accept-changes      go on although its data or settings have changed
      --follow              show its progress until it ends`,
    answers: async (
      name: string,
      { follow: goesOn, ...options }: Following & Parameters<Run['resume']>[0],
      command: Command,
    ) => {
      const run = await (await attach(name)).resume(options);
      if (goesOn) await follow(run, wantsJson(command));
      const how = `follow it with: npx patchwise runs watch ${run.id}`;
      return told(run, await run.status(), ...(goesOn ? [] : [how]));
    },
  });

  addCommand(runs, 'logs', {
    does: 'what the ranks and the supervisor wrote',
    takes: aRun,
    answers: async (id: string) => {
      const logs = await (await attach(id)).logs();
      return [logs, Object.entries(logs).flatMap(([name, text]) => [`== ${name}`, text.trimEnd()])];
    },
  });
}

/** The error of commander for an unknown command, which it leaves out if there is a default command. */
function refuseCommand(parent: Command, name: string): never {
  const names = parent.commands.map((command) => command.name());
  const meant = nearest(name, names);
  parent.error(`error: unknown command '${name}'${meant ? `\n(Did you mean ${meant}?)` : ''}`);
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
    await sleep(live ? 1000 : 5000);
  }
}
