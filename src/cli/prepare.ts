import type { Command } from 'commander';
import { type GivenView, type IntensitySpec, InvalidArgument, prepareDataset, type Size } from '../index';
import { fileOrFolderToRead, fileToRead, folderToWrite } from './paths';
import {
  answer,
  interruptible,
  parseCount,
  parseIntensity,
  parseNumber,
  parseSize,
  parseWhole,
} from './terminal';

export function addPrepare(program: Command): void {
  program
    .command('prepare')
    .description('make a dataset (Zarr v3) of NIfTI files, from which training reads random patches')
    .argument(
      '<in>',
      'a folder, searched through, or one file: .nii, .nii.gz, .hdr + .img',
      fileOrFolderToRead('NIfTI files'),
    )
    .argument(
      '<out>',
      'the folder of the dataset; a second call prepares only what is new or changed',
      folderToWrite('the folder of a dataset'),
    )
    .option('--spacing <mm | x,y,z>', 'resample to this voxel size in mm', parseSize)
    .option('--no-antialias', 'do not smooth axes that lose voxels before resampling')
    .option(
      '--intensity <name | low,high>',
      'auto, ctpa, lung, mediastinum, minmax, or two values',
      parseIntensity,
    )
    .option(
      '--baseline <n | x,y,z[:how]>',
      'a smaller view too, by :resample (default) or :crop',
      parseBaseline,
    )
    .option('--canonical', 'turn every volume to RAS+')
    .option('--index <n>', 'which volume of each file, for 4D ones, counted from 0', parseWhole)
    .option('--channel <name>', 'which component of complex or colour voxels')
    .option(
      '--split <t,v,t>',
      'parts of the patients: train, validation, test',
      parseFractions,
      [0.8, 0.1, 0.1],
    )
    .option('--seed <n>', 'draws the split', parseWhole, 0)
    .option(
      '--patient <regex>',
      "its first group, on a file's path, is the patient; default: up to its number",
    )
    .option(
      '--csv <file>',
      'a table file,patient[,split]; only files in it are prepared',
      fileToRead('a table'),
    )
    .option('--workers <n>', 'threads; each holds a volume or two', parseCount)
    .option('--json', 'print one JSON value')
    .action(async (input: string, output: string, { json, ...options }: PrepareCommandOptions) => {
      const prepared = await prepareDataset(input, output, {
        ...options,
        ...interruptible('prepare'),
      });
      for (const { file, reason } of prepared.leftOut) process.stderr.write(`left out ${file}: ${reason}\n`);
      for (const note of prepared.notes) process.stderr.write(`note: ${note}\n`);
      const { written, kept, leftOut, split } = prepared;
      answer(json, prepared, () => [
        `${output}: ${written.length} volumes written, ${kept.length} unchanged, ${leftOut.length} left out`,
        ...Object.entries(split).map(
          ([side, { volumes, patients }]) => `${side.padEnd(10)}  ${volumes} volumes of ${patients} patients`,
        ),
      ]);
    });
}

function parseBaseline(text: string): GivenView {
  const [shape, how = 'resample'] = text.split(':');
  if (how !== 'resample' && how !== 'crop')
    throw new InvalidArgument('baseline', 'a size, then :resample or :crop', text);
  return { shape: parseSize(shape!), how };
}

function parseFractions(text: string): [number, number, number] {
  const parts = text.split(',').map(parseNumber);
  if (parts.length !== 3) throw new InvalidArgument('split', 'three fractions, train,validation,test', text);
  return [parts[0]!, parts[1]!, parts[2]!];
}

interface PrepareCommandOptions {
  spacing?: Size;
  antialias: boolean;
  intensity?: IntensitySpec;
  baseline?: GivenView;
  canonical?: boolean;
  index?: number;
  channel?: string;
  split: [number, number, number];
  seed: number;
  patient?: string;
  csv?: string;
  workers?: number;
  json?: boolean;
}
