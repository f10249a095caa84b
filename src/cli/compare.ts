import type { Command } from 'commander';
import { compareRuns, type IntensitySpec, runComparisonTables, type WindowName, windowNames } from '../index';
import { answer, interruptible, parseWindow } from './terminal';

export function addCompare(program: Command): void {
  program
    .command('compare')
    .description('reconstruct the same volumes with several runs and compare them patient by patient')
    .argument('<runs...>', 'two or more: run ids or folders; the first is compared with each of the others')
    .option('--volumes <files...>', 'NIfTI files; default: what the first run held out')
    .option('--window <name>', `blending window: ${windowNames.join(', ')}`, 'gaussian')
    .option('--intensity <name | low,high>', "window of the metrics; default: the first run's", parseWindow)
    .option('--json', 'print one JSON value')
    .action(async (runs: string[], options: CompareCommandOptions) => {
      const { json, ...rest } = options;
      const comparison = await compareRuns(runs, { ...rest, ...interruptible('compare') });
      answer(json, comparison, () => [
        runComparisonTables(comparison)
          .map((table) => table.toText())
          .join('\n\n'),
      ]);
    });
}

interface CompareCommandOptions {
  volumes?: string[];
  window: WindowName;
  intensity?: IntensitySpec;
  json?: boolean;
}
