import { realpathSync } from 'node:fs';
import type { Command } from 'commander';
import { InvalidArgument, presets, train } from '../index';
import { listSettings, prepareRun, readConfig, runRank, supervise } from '../internal';
import { settingLines } from './config';
import { follow, summary } from './follow';
import { fileToRead, folderToRead } from './paths';
import { addRuns } from './runs';
import { answer, parseCount } from './terminal';

const runFolder = folderToRead('the folder of a run');

export function addTrain(program: Command): void {
  program
    .command('train')
    .description('start a training run and show its progress; Ctrl-C ends the display, not the run')
    .argument(
      '[config]',
      'YAML file with the run configuration',
      fileToRead('a YAML file (volumes are given by --data)'),
    )
    .option('--preset <name>', `where the configuration starts: ${Object.keys(presets).join(', ')}`)
    .option('--data <path...>', 'NIfTI files, a folder of them, a prepared dataset, or phantom:64x64x76')
    .option('--nproc, --ranks <n>', 'processes that train together', parseCount)
    .option('--steps <n>', 'optimiser steps', parseCount)
    .option('--set <key=value...>', 'any other setting, such as model.codes=1024')
    .option('--prepare', "only make the run's folder, for ranks that torchrun, Slurm or Kubernetes starts")
    .option('--detach', 'return at once; follow with: npx patchwise runs show')
    .option('--json', 'print one JSON value')
    .addHelpText('after', () => ['', 'Settings:', ...settingLines(listSettings())].join('\n'))
    .action(async (file: string | undefined, options: TrainCommandOptions) => {
      const overrides = [
        ...(options.preset ? [`preset=${options.preset}`] : []),
        ...(options.ranks ? [`ranks=${options.ranks}`] : []),
        ...(options.steps ? [`steps=${options.steps}`] : []),
        ...(options.set ?? []),
      ];
      const config = await readConfig(file, { overrides, data: options.data });
      if (options.prepare) {
        const { id, dir } = await prepareRun(config);
        return answer(options.json, { id, dir }, () => dir);
      }
      const run = await train(config);
      if (!options.detach) await follow(run, options.json);
      const status = await run.status();
      answer(options.json, { id: run.id, dir: run.dir, status }, () =>
        options.detach
          ? `started ${run.id}; follow it with: npx patchwise runs show ${run.id} --follow`
          : summary(run, status),
      );
    });

  addRuns(program);

  program
    .command('rank', { hidden: true })
    .description('one rank of a run; RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT come from the environment')
    .argument('[dir]', 'folder of the run', runFolder)
    .option('--run <dir>', 'the same, for launchers that pass options through', runFolder)
    .action(async (dir: string | undefined, options: { run?: string }) => {
      const runDir = dir ?? options.run;
      if (!runDir) throw new InvalidArgument('run', 'the folder of a run', runDir);
      warnOfNpx();
      await runRank({ runDir });
    });

  program
    .command('supervise', { hidden: true })
    .description('start the ranks of a run and watch over them')
    .requiredOption('--run <dir>', 'folder of the run', runFolder)
    .action(async (options: { run: string }) => supervise({ runDir: options.run }));
}

/** npx does not forward every signal, and does not wait while a rank writes its checkpoint. */
function warnOfNpx(): void {
  if (process.env.npm_command !== 'exec') return;
  process.stderr.write(
    'patchwise: started through npx, which does not forward every signal; ' +
      `if a launcher sends signals, start this instead: node ${realpathSync(process.argv[1]!)} rank RUN\n`,
  );
}

interface TrainCommandOptions {
  preset?: string;
  data?: string[];
  ranks?: number;
  steps?: number;
  set?: string[];
  prepare?: boolean;
  detach?: boolean;
  json?: boolean;
}
