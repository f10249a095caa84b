import type { Command } from 'commander';
import { type CompareRunsOptions, compareRuns, type RunComparison, windowNames } from '../index';
import { runComparisonTables } from '../internal';
import { type Answer, addCommand, print } from './command';
import { interruptible, parseSize, tablesText, tellLeftOut } from './terminal';

interface CompareFlags extends CompareRunsOptions {
  readonly volumes?: readonly string[];
  readonly ignoreNan?: boolean;
}

export function addCompare(program: Command): void {
  addCommand(program, 'compare', {
    does: 'reconstruct the same volumes with several runs and compare them patient by patient',
    takes: `
      <runs...>              two or more: run ids or folders; the first is compared with each of the others
      --volumes <files...>   volume files, folders, DICOM or datasets that no run has seen; default: what the first run held out
      --checkpoint <which>   of each run; default: the best by validation, but the last where a best was chosen by
                             these volumes
      --stride <n | x,y,z>   distance of neighbouring patches, for all runs
      --overlap <part>       the same as parts of the patch, or voxels: one number or x,y,z; default: the largest of
                             the runs, for all
      --window <name>        blending window: ${windowNames.join(', ')} (default: gaussian)
      --intensity <name | low,high>  intensity range of the metrics; default: the first run's
      --ignore-nan           leave out the NaN voxels of a volume; default: such a volume has no PSNR, SSIM, MAE, RMSE`,
    reads: { overlap: parseSize },
    answers: async (runs: string[], options: CompareFlags, command: Command) => {
      const { ignoreNan: ignoreNaN, ...rest } = options;
      const answer = (comparison: RunComparison): Answer => {
        tellLeftOut(comparison.leftOut, rest.volumes);
        return [comparison, tablesText(runComparisonTables(comparison))];
      };
      const onUnfinished: CompareRunsOptions['onUnfinished'] = (done) => print(answer(done), command);
      const how = { ...rest, ignoreNaN, onUnfinished, ...interruptible('compare') };
      return answer(await compareRuns(runs, how));
    },
  });
}
