import type { Command } from 'commander';
import {
  type DecodeOptions,
  decode,
  type EncodedCohort,
  type EncodeOptions,
  encodeFiles,
  readCodes,
  type WriteOptions,
  windowNames,
} from '../index';
import { chooseCheckpoint, measureText, measureTitle, numberText, sinkOf, storedTypes } from '../internal';
import { addCommand, dtypeOption, modelOptions, workersOption } from './command';
import { fileOrDataset, fileToRead, folderToWrite } from './paths';
import { columns, formatBytes, interruptible, modelLine, parseSeries, tellLeftOut } from './terminal';

interface EncodeCommandOptions extends EncodeOptions {
  readonly out: string;
  readonly canonical?: boolean;
}

type DecodeCommandOptions = DecodeOptions & { readonly dtype?: WriteOptions['dtype'] };

export function addCodes(program: Command): void {
  addCommand(program, 'encode', {
    does: 'encode volumes with a trained model: volume files, folders of them, or a dataset',
    takes: `
      <run>               run id, run folder or checkpoint folder
      <volumes...>        what to encode
      -o, --out <folder>  where <name>.npz files are written; numpy.load opens them (required)
      ${modelOptions}
      --latents           keep the latents too, as float32
      --canonical         turn each volume to RAS+ first
      --series <number | text>  only DICOM series of this number, or with this text in their name or description`,
    reads: { series: parseSeries, out: folderToWrite('a folder') },
    answers: async (run: string, volumes: string[], { out, ...options }: EncodeCommandOptions) => {
      const input = volumes.length === 1 ? volumes[0]! : volumes;
      const found = await encodeFiles(run, input, out, { ...options, ...interruptible('encode') });
      tellLeftOut(found.leftOut, volumes);
      if (found.rows.length > 0) return [found, encodedLines(found)];
      process.exitCode = 1;
      return [found, 'nothing was encoded'];
    },
  });

  addCommand(program, 'decode', {
    does: 'decode a volume: the same as `reconstruct` makes of the original',
    takes: `
      <codes>          an .npz file of encode
      <output>         where to write: .nii or .nii.gz, or the folder of a dataset to add it to
      --model <run>    run or checkpoint, if it has moved
      --window <name>  blending window: ${windowNames.join(', ')} (default: gaussian)
      ${dtypeOption}
      ${workersOption}`,
    reads: { codes: fileToRead('an .npz file of encode'), output: fileOrDataset, dtype: storedTypes },
    answers: async (file: string, output: string, { dtype, ...options }: DecodeCommandOptions) => {
      const codes = await readCodes(file);
      const to = { ...sinkOf(output), dtype };
      const { path } = await decode(codes, { ...options, to, ...interruptible('decode') });
      const checkpoint = await chooseCheckpoint(options.model ?? codes.model.checkpoint);
      const answer = { output: path, patches: codes.grid.patches, checkpoint };
      return [answer, [`wrote ${path}`, modelLine(checkpoint)]];
    },
  });
}

function encodedLines({ rows, perplexity, usage, checkpoint }: EncodedCohort): string[] {
  return [
    ...columns([
      ['codes', 'size', 'of int16', measureTitle('perplexity'), measureTitle('usage'), 'seconds'],
      ...rows.map(({ output, bytes, ratio, perplexity, usage, seconds }) => {
        const sizes = [formatBytes(bytes), `1 / ${ratio.toPrecision(4)}`];
        const codes = [numberText('perplexity', perplexity), numberText('usage', usage)];
        return [output, ...sizes, ...codes, seconds.toFixed(1)];
      }),
    ]),
    `all ${rows.length}: ${measureText('perplexity', perplexity)}, ${measureText('usage', usage)}`,
    modelLine(checkpoint),
  ];
}
