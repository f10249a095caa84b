import { realpathSync } from 'node:fs';
import type { Command } from 'commander';
import { InvalidArgument, presets, type TrainCall, train } from '../index';
import { inspectionText, prepareRun, readConfig, runRank, supervise } from '../internal';
import { addCommand, wantsJson } from './command';
import { settingLines } from './config';
import { follow, told } from './follow';
import { fileToRead, folderToRead } from './paths';
import { addRuns } from './runs';
import { interruptible, tell, tellLeftOut, tellText } from './terminal';

interface TrainCommandOptions {
  readonly preset?: string;
  readonly data?: string[];
  readonly ranks?: number;
  readonly steps?: number;
  readonly set?: string[];
  readonly strict?: boolean;
  readonly prepare?: boolean;
  readonly detach?: boolean;
}

export function addTrain(program: Command): void {
  addCommand(program, 'train', {
    does: 'start a training run and show its progress; Ctrl-C ends the display, not the run',
    takes: `
      [config]             YAML file with the run configuration
      --preset <name>      where the configuration starts: ${Object.keys(presets).join(', ')}
      --data <path...>     volume files, a folder of them or of DICOM, a prepared dataset, or phantom:64x64x76
      --nproc, --ranks <n>  processes that train together
      --steps <n>          optimiser steps
      --set <key=value...>  any other setting, such as model.codes=1024
      --strict             refuse data of which anything is left out or odd
      --prepare            only make the run's folder, for ranks that torchrun, Slurm or Kubernetes starts
      --detach             return at once; follow with: npx patchwise runs show`,
    reads: { config: fileToRead('a YAML file (volumes are given by --data)') },
    answers: async (file: string | undefined, options: TrainCommandOptions, command: Command) => {
      const { preset, ranks, steps, set = [], data, prepare, detach, strict } = options;
      const overrides = [...overridesOf({ preset, ranks, steps }), ...set];
      const config = await readConfig(file, { overrides, data });
      const onInspect: TrainCall['onInspect'] = (inspection) => {
        tellText(inspectionText(inspection));
        tellLeftOut(inspection.leftOut, [config.data ?? []].flat());
      };
      const call = { ...interruptible('look'), strict, onInspect };
      const run = prepare ? await prepareRun(config, call) : await train(config, call);
      for (const note of (await run.config()).looked?.notes ?? []) tell(`note: ${note}`);
      if (prepare) return [{ id: run.id, dir: run.dir }, run.dir];
      if (!detach) await follow(run, wantsJson(command));
      const [value, lines] = told(run, await run.status());
      const started = `started ${run.id}; follow it with: npx patchwise runs show ${run.id} --follow`;
      return [value, detach ? started : lines];
    },
  }).addHelpText('after', () => ['', 'Settings:', ...settingLines()].join('\n'));

  addRuns(program);

  addCommand(program, 'rank', {
    does: 'one rank of a run; RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT come from the environment',
    takes: `
      [dir]        folder of the run
      --run <dir>  the same, for launchers that pass options through`,
    reads: { dir: runFolder, run: runFolder },
    hidden: true,
    run: async (dir: string | undefined, options: { run?: string }) => {
      const runDir = dir ?? options.run;
      if (!runDir) throw new InvalidArgument('run', 'the folder of a run', runDir);
      warnOfNpx();
      await runRank({ runDir });
    },
  });

  addCommand(program, 'supervise', {
    does: 'start the ranks of a run and watch over them',
    takes: '--run <dir>  folder of the run (required)',
    reads: { run: runFolder },
    hidden: true,
    run: async ({ run }: { run: string }) => supervise({ runDir: run }),
  });
}

const runFolder = folderToRead('the folder of a run');

/** Options as overrides of a config: `steps=4`. */
export function overridesOf(options: Readonly<Record<string, unknown>>): string[] {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return given.map(([key, value]) => `${key}=${value}`);
}

/** npx does not forward every signal, and does not wait while a rank writes its checkpoint. */
function warnOfNpx(): void {
  if (process.env.npm_command !== 'exec') return;
  process.stderr.write(
    'patchwise: started through npx, which does not forward every signal; ' +
      `if a launcher sends signals, start this instead: node ${realpathSync(process.argv[1]!)} rank RUN\n`,
  );
}
