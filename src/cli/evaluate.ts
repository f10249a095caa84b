import type { Command } from 'commander';
import {
  compareVolumes,
  type Reconstruction,
  readVolume,
  reconstruct,
  type Vec3,
  type WindowName,
  windowNames,
  writeVolume,
} from '../index';
import { answer, columns, interruptible, parseVec3 } from './terminal';

export function addEvaluate(program: Command): void {
  program
    .command('reconstruct')
    .description('pass a volume through a trained model, patch by patch, and blend')
    .argument('<run>', 'run id, run folder or checkpoint folder')
    .argument('<volume>', 'NIfTI file')
    .argument('<output>', 'where to write: .nii or .nii.gz')
    .option('--window <name>', `blending window: ${windowNames.join(', ')}`, 'gaussian')
    .option('--stride <x,y,z>', 'distance of neighbouring patches, if not that of the training', parseVec3)
    .option('--json', 'print one JSON value')
    .action(async (run: string, file: string, output: string, options: ReconstructCommandOptions) => {
      const volume = await readVolume(file);
      const { window, stride } = options;
      const result = await reconstruct(run, volume, { window, stride, ...interruptible('reconstruct') });
      await writeVolume(output, result);
      const { patches } = result.grid;
      answer(options.json, { output, window, patches, seconds: result.seconds }, () => `wrote ${output}`);
    });

  program
    .command('evaluate')
    .description('reconstruct a volume with one or more windows and measure the result')
    .argument('<run>', 'run id, run folder or checkpoint folder')
    .argument('<volume>', 'NIfTI file')
    .option('--window <name...>', `blending windows: ${windowNames.join(', ')}`, ['linear', 'gaussian'])
    .option('--json', 'print one JSON value')
    .action(async (run: string, file: string, options: { window: WindowName[]; json?: boolean }) => {
      const volume = await readVolume(file);
      const candidates: Record<string, Reconstruction> = {};
      for (const window of options.window)
        candidates[window] = await reconstruct(run, volume, { window, ...interruptible(window) });
      const { metrics } = compareVolumes(volume, candidates);
      answer(options.json, metrics, () => {
        const names = Object.keys(metrics[0]!) as (keyof (typeof metrics)[0])[];
        const cell = (value: unknown) =>
          typeof value === 'number' ? value.toPrecision(5) : String(value ?? '-');
        return columns([names, ...metrics.map((row) => names.map((name) => cell(row[name])))]);
      });
    });
}

interface ReconstructCommandOptions {
  window: WindowName;
  stride?: Vec3;
  json?: boolean;
}
