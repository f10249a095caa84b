import { type Command, Option } from 'commander';
import { compareRuns, type IntensitySpec, type Size, type WindowName, windowNames } from '../index';
import { runComparisonTables } from '../internal';
import { answer, interruptible, parseIntensity, parseSize, tellLeftOut } from './terminal';

export function addCompare(program: Command): void {
  program
    .command('compare')
    .description('reconstruct the same volumes with several runs and compare them patient by patient')
    .argument('<runs...>', 'two or more: run ids or folders; the first is compared with each of the others')
    .option('--volumes <files...>', 'NIfTI files that no run has seen; default: what the first run held out')
    .addOption(
      new Option(
        '--checkpoint <which>',
        'of each run; default: the best by validation, but the last where a best was chosen by these volumes',
      ).choices(['best', 'last']),
    )
    .option('--stride <n | x,y,z>', 'distance of neighbouring patches, for all runs', parseSize)
    .option(
      '--overlap <part>',
      'the same as parts of the patch, or voxels: one number or x,y,z; default: the largest of the runs, for all',
      parseSize,
    )
    .option('--window <name>', `blending window: ${windowNames.join(', ')}`, 'gaussian')
    .option(
      '--intensity <name | low,high>',
      "intensity range of the metrics; default: the first run's",
      parseIntensity,
    )
    .option('--json', 'print one JSON value')
    .action(async (runs: string[], options: CompareCommandOptions) => {
      const { json, ...rest } = options;
      const comparison = await compareRuns(runs, { ...rest, ...interruptible('compare') });
      tellLeftOut(comparison.leftOut);
      answer(json, comparison, () => [
        runComparisonTables(comparison)
          .map((table) => table.toText())
          .join('\n\n'),
      ]);
    });
}

interface CompareCommandOptions {
  volumes?: string[];
  checkpoint?: 'best' | 'last';
  stride?: Size;
  overlap?: Size;
  window: WindowName;
  intensity?: IntensitySpec;
  json?: boolean;
}
