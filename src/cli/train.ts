import type { Command } from 'commander';
import {
  attach,
  InvalidArgument,
  listRuns,
  presets,
  type Run,
  type RunStatus,
  readConfig,
  runRank,
  supervise,
  train,
} from '../index';
import { answer, columns, interruptible, parseCount } from './terminal';

export function addTrain(program: Command): void {
  program
    .command('train')
    .description('start a training run: in the foreground with progress, or detached')
    .argument('[config]', 'YAML file with the run configuration')
    .option('--preset <name>', `where the configuration starts: ${Object.keys(presets).join(', ')}`)
    .option('--data <path...>', 'NIfTI files, a folder of them, a prepared dataset, or phantom:64x64x76')
    .option('--nproc, --ranks <n>', 'processes that train together', parseCount)
    .option('--steps <n>', 'optimiser steps', parseCount)
    .option('--set <key=value...>', 'any other setting, such as model.codes=1024')
    .option('--detach', 'return at once; follow with: patchwise runs show')
    .option('--json', 'print one JSON value')
    .action(async (file: string | undefined, options: TrainCommandOptions) => {
      const overrides = [
        ...(options.preset ? [`preset=${options.preset}`] : []),
        ...(options.ranks ? [`ranks=${options.ranks}`] : []),
        ...(options.steps ? [`steps=${options.steps}`] : []),
        ...(options.set ?? []),
      ];
      const run = await train(await readConfig(file, { overrides, data: options.data }));
      if (!options.detach) await follow(run, options.json);
      const status = await run.status();
      answer(options.json, { id: run.id, dir: run.dir, status }, () =>
        options.detach
          ? `started ${run.id}; follow it with: patchwise runs show ${run.id} --follow`
          : summary(run, status),
      );
    });

  addRuns(program);

  program
    .command('rank', { hidden: true })
    .description('one rank of a run; RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT come from the environment')
    .argument('[dir]', 'folder of the run')
    .option('--run <dir>', 'the same, for launchers that pass options through')
    .action(async (dir: string | undefined, options: { run?: string }) => {
      const runDir = dir ?? options.run;
      if (!runDir) throw new InvalidArgument('run', 'the folder of a run', runDir);
      await runRank({ runDir });
    });

  program
    .command('supervise', { hidden: true })
    .description('start the ranks of a run and watch over them')
    .requiredOption('--run <dir>', 'folder of the run')
    .action(async (options: { run: string }) => supervise({ runDir: options.run }));
}

function addRuns(program: Command): void {
  const runs = program.command('runs').description('list, show, stop runs, read their logs');

  runs
    .command('list', { isDefault: true })
    .description('all runs of this project, newest first')
    .option('--json', 'print one JSON value')
    .action(async (options: { json?: boolean }) => {
      const found = await Promise.all(
        (await listRuns()).map(async (run) => ({ run, status: await run.status() })),
      );
      const rows = found.map(({ run, status }) => ({ id: run.id, dir: run.dir, ...status }));
      answer(options.json, rows, () =>
        rows.length === 0
          ? 'no runs here yet'
          : columns([
              ['run', 'state', 'step', 'backend', 'updated'],
              ...rows.map((row) => [
                row.id,
                row.state,
                `${row.step}/${row.steps}`,
                row.backend ?? '-',
                row.updated,
              ]),
            ]),
      );
    });

  runs
    .command('show')
    .description('state and last metrics of a run')
    .argument('<run>', 'id or folder')
    .option('--follow', 'go on until the run ends')
    .option('--json', 'print one JSON value')
    .action(async (id: string, options: { follow?: boolean; json?: boolean }) => {
      const run = await attach(id);
      if (options.follow) await follow(run, options.json);
      const [status, records] = [await run.status(), await run.records()];
      const last = (split: string) => records.filter((record) => record.split === split).at(-1);
      const shown = {
        id: run.id,
        dir: run.dir,
        status,
        train: last('train'),
        validation: last('validation'),
      };
      answer(options.json, shown, () => [
        summary(run, status),
        ...[shown.train, shown.validation].filter((record) => record !== undefined).map(recordLine),
      ]);
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
    .option('--json', 'print one JSON value')
    .action(async (id: string, options: { steps?: number; ranks?: number; json?: boolean }) => {
      const run = await (await attach(id)).resume({ steps: options.steps, ranks: options.ranks });
      const status = await run.status();
      answer(options.json, { id: run.id, dir: run.dir, status }, () => summary(run, status));
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

/** Shows a run's progress until it ends; Ctrl-C leaves the run alone and says how to come back. */
async function follow(run: Run, json: boolean | undefined): Promise<void> {
  const call = interruptible(run.id);
  const { steps } = await run.status();
  try {
    for await (const record of run.metrics({ signal: call.signal })) {
      if (record.split === 'train') call.onProgress?.({ done: record.step, total: steps, what: 'steps' });
      else if (!json) process.stderr.write(`\n${recordLine(record)}\n`);
    }
  } catch (error) {
    if (!call.signal?.aborted) throw error;
    process.stderr.write(`\n${run.id} goes on; stop it with: patchwise runs stop ${run.id}\n`);
    return;
  }
  await run.done;
}

function summary(run: Run, status: RunStatus): string {
  const error = status.error ? `: ${status.error}` : '';
  return `${run.id}  ${status.state}${error}  step ${status.step}/${status.steps}  ${run.dir}`;
}

function recordLine(record: { split: string; step: number }): string {
  const figures = Object.entries(record)
    .filter(([key, value]) => typeof value === 'number' && key !== 'step' && key !== 'epoch')
    .map(([key, value]) => `${key} ${Number((value as number).toPrecision(4))}`);
  return `${record.split.padEnd(10)} step ${record.step}  ${figures.join('  ')}`;
}

interface TrainCommandOptions {
  preset?: string;
  data?: string[];
  ranks?: number;
  steps?: number;
  set?: string[];
  detach?: boolean;
  json?: boolean;
}
