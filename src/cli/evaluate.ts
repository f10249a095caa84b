import type { Command } from 'commander';
import {
  type EvaluateOptions,
  type Evaluation,
  evaluateFiles,
  type ReadOptions,
  type ReconstructOptions,
  readVolume,
  reconstruct,
  type WindowName,
  type WriteOptions,
  windowNames,
} from '../index';
import { axisNames, evaluationTables, sinkOf, storedTypes } from '../internal';
import { type Answer, addCommand, dtypeOption, modelOptions, print } from './command';
import { fileOrDataset } from './paths';
import {
  interruptible,
  modelLine,
  parseNumber,
  parseSeries,
  parseSize,
  parseWhole,
  tablesText,
  tell,
  tellLeftOut,
} from './terminal';

type ReconstructFlags = ReconstructOptions &
  ReadOptions & { readonly window: WindowName; readonly dtype?: WriteOptions['dtype'] };

interface EvaluateFlags extends EvaluateOptions {
  readonly window: readonly WindowName[];
  readonly ignoreNan?: boolean;
}

/** The options that both commands share. */
const shared = `${modelOptions}
  --overlap <part>      the same as parts of the patch, or voxels: one number or x,y,z
  --mirror <axes>       take the mean over mirrored patches too: some of ${axisNames}
  --sigma <part>        of the gaussian window, as a part of the patch: one number or x,y,z
  --foreground <value>  leave out patches without a value over this
  --fill <value>        what stands in patches left out; default: the window's least value
  --index <n>           which volume of a 4D file, counted from 0
  --channel <name>      which component of complex or colour voxels
  --series <number | text>  which series of a DICOM folder, by number, or by text in its name or description
  --use <weights>       which weights; default: as the run says
  --canonical           turn the volume to RAS+ first`;

const reads = {
  overlap: parseSize,
  sigma: parseSize,
  fill: parseNumber,
  index: parseWhole,
  series: parseSeries,
  use: ['trained', 'average'],
  mirror: (text: string) => text.split(','),
  foreground: (text: string) => ({ above: parseNumber(text) }),
};

export function addEvaluate(program: Command): void {
  addCommand(program, 'reconstruct', {
    does: 'pass a volume through a trained model, patch by patch, and blend',
    takes: `
      <run>            run id, run folder or checkpoint folder
      <volume>         volume file (NIfTI, MetaImage, NRRD) or DICOM folder
      <output>         where to write: .nii or .nii.gz, or the folder of a dataset to add it to
      --window <name>  blending window: ${windowNames.join(', ')} (default: gaussian)
      ${dtypeOption}
      ${shared}`,
    reads: { ...reads, output: fileOrDataset, dtype: storedTypes },
    answers: async (run: string, file: string, output: string, options: ReconstructFlags) => {
      const { canonical, index, channel, series, dtype, ...rest } = options;
      const to = { ...sinkOf(output), dtype };
      const volume = await readVolume(file, { canonical, index, channel, series });
      for (const note of volume.notes) tell(`note: ${note}`);
      const made = await reconstruct(run, volume, { ...rest, to, ...interruptible('reconstruct') });
      const { path, window, grid, seconds, checkpoint } = made;
      const answer = { output: path, window, patches: grid.patches, seconds, checkpoint };
      return [answer, [`wrote ${path}`, modelLine(checkpoint)]];
    },
  });

  addCommand(program, 'evaluate', {
    does: 'reconstruct volumes with one or more windows and measure the results',
    takes: `
      <run>               run id, run folder or checkpoint folder
      <volumes...>        volume files, folders, DICOM or datasets; several also give means, six and more with 95 % bootstrap intervals
      --window <name...>  blending windows: ${windowNames.join(', ')} (default: linear gaussian)
      --ignore-nan        leave out the NaN voxels of a volume; default: such a volume has no PSNR, SSIM, MAE, RMSE
      ${shared}`,
    reads,
    answers: async (run: string, files: string[], options: EvaluateFlags, command: Command) => {
      const { window: windows, ignoreNan: ignoreNaN, ...rest } = options;
      const answer = (evaluation: Evaluation): Answer => {
        tellLeftOut(evaluation.leftOut, files);
        return [evaluation, tablesText(evaluationTables(evaluation))];
      };
      const onUnfinished: EvaluateOptions['onUnfinished'] = (done) => print(answer(done), command);
      const how = { ...rest, windows, ignoreNaN, onUnfinished, ...interruptible('evaluate') };
      return answer(await evaluateFiles(run, files, how));
    },
  });
}
