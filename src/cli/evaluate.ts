import { type Command, Option } from 'commander';
import {
  evaluateFiles,
  type IntensitySpec,
  readVolume,
  reconstruct,
  type Size,
  type WindowName,
  windowNames,
} from '../index';
import { evaluationTables, type MirrorAxis, mirrorAxes } from '../internal';
import { checkpointOption, modelLine } from './checkpoint';
import { fileOrDataset } from './paths';
import {
  answer,
  interruptible,
  parseCount,
  parseIntensity,
  parseNumber,
  parseSize,
  parseWhole,
  tellLeftOut,
} from './terminal';

export function addEvaluate(program: Command): void {
  modelOptions(
    program
      .command('reconstruct')
      .description('pass a volume through a trained model, patch by patch, and blend')
      .argument('<run>', 'run id, run folder or checkpoint folder')
      .argument('<volume>', 'NIfTI file')
      .argument(
        '<output>',
        'where to write: .nii or .nii.gz, or the folder of a dataset to add it to',
        fileOrDataset,
      )
      .option('--window <name>', `blending window: ${windowNames.join(', ')}`, 'gaussian'),
  ).action(async (run: string, file: string, output: string, options: ReconstructCommandOptions) => {
    const { canonical, index, channel, json, ...rest } = options;
    const volume = await readVolume(file, { canonical, index, channel });
    const settings = { ...rest, to: output, ...interruptible('reconstruct') };
    const { path, window, grid, seconds, checkpoint } = await reconstruct(run, volume, settings);
    answer(json, { output: path, window, patches: grid.patches, seconds, checkpoint }, () => [
      `wrote ${path}`,
      modelLine(checkpoint),
    ]);
  });

  modelOptions(
    program
      .command('evaluate')
      .description('reconstruct volumes with one or more windows and measure the results')
      .argument('<run>', 'run id, run folder or checkpoint folder')
      .argument(
        '<volumes...>',
        'NIfTI files; several also give means, six and more with 95 % bootstrap intervals',
      )
      .option('--window <name...>', `blending windows: ${windowNames.join(', ')}`, ['linear', 'gaussian']),
  ).action(async (run: string, files: string[], options: EvaluateCommandOptions) => {
    const { window, json, ...rest } = options;
    const evaluation = await evaluateFiles(run, files, {
      ...rest,
      windows: window,
      ...interruptible('evaluate'),
    });
    tellLeftOut(evaluation.leftOut);
    answer(json, evaluation, () =>
      evaluationTables(evaluation)
        .map((table) => table.toText())
        .join('\n\n'),
    );
  });
}

/** The options that both commands share. */
function modelOptions(command: Command): Command {
  return command
    .addOption(checkpointOption())
    .option(
      '--stride <n | x,y,z>',
      'distance of neighbouring patches, if not that of the training',
      parseSize,
    )
    .option('--overlap <part>', 'the same as parts of the patch, or voxels: one number or x,y,z', parseSize)
    .option(
      '--intensity <name | low,high>',
      'auto, ctpa, lung, mediastinum, minmax, or two values; default: as in the training',
      parseIntensity,
    )
    .option('--mirror <axes>', `take the mean over mirrored patches too: some of ${mirrorAxes}`, parseAxes)
    .option(
      '--sigma <part>',
      'of the gaussian window, as a part of the patch: one number or x,y,z',
      parseSize,
    )
    .option('--foreground <value>', 'leave out patches without a value over this', parseForeground)
    .option(
      '--fill <value>',
      "what stands in patches left out; default: the window's least value",
      parseNumber,
    )
    .option('--index <n>', 'which volume of a 4D file, counted from 0', parseWhole)
    .option('--channel <name>', 'which component of complex or colour voxels')
    .addOption(
      new Option('--use <weights>', 'which weights; default: as the run says').choices([
        'trained',
        'average',
      ]),
    )
    .option(
      '--workers <n>',
      'threads that compute patches; default: as many as backend, cores and memory allow',
      parseCount,
    )
    .option('--canonical', 'turn the volume to RAS+ first')
    .option('--json', 'print one JSON value');
}

function parseForeground(text: string): { above: number } {
  return { above: parseNumber(text) };
}

function parseAxes(text: string): MirrorAxis[] {
  return text.split(',') as MirrorAxis[]; // checked where they are used
}

interface ModelCommandOptions {
  checkpoint?: 'best' | 'last';
  stride?: Size;
  overlap?: Size;
  intensity?: IntensitySpec;
  mirror?: MirrorAxis[];
  sigma?: Size;
  foreground?: { above: number };
  fill?: number;
  index?: number;
  channel?: string;
  use?: 'trained' | 'average';
  workers?: number;
  canonical?: boolean;
  json?: boolean;
}

interface ReconstructCommandOptions extends ModelCommandOptions {
  window: WindowName;
}

interface EvaluateCommandOptions extends ModelCommandOptions {
  window: WindowName[];
}
