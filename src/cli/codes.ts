import type { Command } from 'commander';
import {
  decode,
  type EncodedCohort,
  type EncodedRow,
  encodeFiles,
  type IntensitySpec,
  readCodes,
  type Size,
  type WindowName,
  windowNames,
} from '../index';
import { chooseCheckpoint } from '../internal';
import { checkpointOption, modelLine } from './checkpoint';
import { fileOrDataset, fileToRead, folderToWrite } from './paths';
import {
  answer,
  columns,
  formatBytes,
  interruptible,
  parseCount,
  parseIntensity,
  parseSize,
} from './terminal';

export function addCodes(program: Command): void {
  program
    .command('encode')
    .description('encode volumes with a trained model: NIfTI files, folders of them, or a dataset')
    .argument('<run>', 'run id, run folder or checkpoint folder')
    .argument('<volumes...>', 'what to encode')
    .requiredOption(
      '-o, --out <folder>',
      'where <name>.npz files are written; numpy.load opens them',
      folderToWrite('a folder'),
    )
    .option(
      '--stride <n | x,y,z>',
      'distance of neighbouring patches, if not that of the training',
      parseSize,
    )
    .option(
      '--intensity <name | low,high>',
      'auto, ctpa, lung, mediastinum, minmax, or two values; default: as in the training',
      parseIntensity,
    )
    .addOption(checkpointOption())
    .option('--latents', 'keep the latents too, as float32')
    .option(
      '--workers <n>',
      'threads that compute patches; default: as many as backend, cores and memory allow',
      parseCount,
    )
    .option('--canonical', 'turn each volume to RAS+ first')
    .option('--json', 'print one JSON value')
    .action(async (run: string, volumes: string[], { out, json, ...options }: EncodeCommandOptions) => {
      const input = volumes.length === 1 ? volumes[0]! : volumes;
      const found = await encodeFiles(run, input, out, { ...options, ...interruptible('encode') });
      for (const { file, reason } of found.leftOut) process.stderr.write(`left out ${file}: ${reason}\n`);
      answer(json, found, () => (found.rows.length > 0 ? encodedLines(found) : 'nothing was encoded'));
      if (found.rows.length === 0) process.exitCode = 1;
    });

  program
    .command('decode')
    .description('decode a volume: the same as `reconstruct` makes of the original')
    .argument('<codes>', 'an .npz file of encode', fileToRead('an .npz file of encode'))
    .argument(
      '<output>',
      'where to write: .nii or .nii.gz, or the folder of a dataset to add it to',
      fileOrDataset,
    )
    .option('--model <run>', 'run or checkpoint, if it has moved')
    .option('--window <name>', `blending window: ${windowNames.join(', ')}`, 'gaussian')
    .option(
      '--workers <n>',
      'threads that compute patches; default: as many as backend, cores and memory allow',
      parseCount,
    )
    .option('--json', 'print one JSON value')
    .action(async (file: string, output: string, { json, ...options }: DecodeCommandOptions) => {
      const codes = await readCodes(file);
      const { path } = await decode(codes, { ...options, to: output, ...interruptible('decode') });
      const checkpoint = await chooseCheckpoint(options.model ?? codes.model.checkpoint);
      answer(json, { output: path, patches: codes.grid.patches, checkpoint }, () => [
        `wrote ${path}`,
        modelLine(checkpoint),
      ]);
    });
}

function encodedLines({ rows, perplexity, usage, checkpoint }: EncodedCohort): string[] {
  return [
    ...columns([
      ['codes', 'size', 'of int16', 'perplexity', 'codes in use, %', 'seconds'],
      ...rows.map(encodedLine),
    ]),
    `all ${rows.length}: perplexity ${perplexity.toFixed(1)}, codes in use ${(100 * usage).toFixed(1)} %`,
    modelLine(checkpoint),
  ];
}

function encodedLine({ output, bytes, ratio, perplexity, usage, seconds }: EncodedRow): string[] {
  return [
    ...[output, formatBytes(bytes), `1 / ${ratio.toPrecision(4)}`],
    ...[perplexity.toFixed(1), (100 * usage).toFixed(1), seconds.toFixed(1)],
  ];
}

interface EncodeCommandOptions {
  out: string;
  checkpoint?: 'best' | 'last';
  stride?: Size;
  intensity?: IntensitySpec;
  latents?: boolean;
  workers?: number;
  canonical?: boolean;
  json?: boolean;
}

interface DecodeCommandOptions {
  model?: string;
  window: WindowName;
  workers?: number;
  json?: boolean;
}
