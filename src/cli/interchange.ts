import type { Command } from 'commander';
import {
  exportOnnx,
  exportSafetensors,
  type IntensitySpec,
  InvalidArgument,
  importSafetensors,
  type Size,
} from '../index';
import { chooseCheckpoint } from '../internal';
import { checkpointOption, modelLine } from './checkpoint';
import { fileToRead, folderToWrite } from './paths';
import { answer, parseCount, parseIntensity, parseSize } from './terminal';

const formats = ['safetensors', 'onnx'];

export function addInterchange(program: Command): void {
  program
    .command('export')
    .description('export a trained model for PyTorch (safetensors) or onnxruntime')
    .argument('<run>', 'run id, run folder or checkpoint folder')
    .argument(
      '<output>',
      'a file; for onnx also a folder, which gets encoder, quantiser, embedding and decoder',
    )
    .requiredOption('--format <name>', formats.join(' or '))
    .addOption(checkpointOption())
    .option('--json', 'print one JSON value')
    .action(async (run: string, output: string, options: ExportCommandOptions) => {
      const { format, json } = options;
      if (!formats.includes(format)) throw new InvalidArgument('format', 'a format', format, formats);
      const checkpoint = await chooseCheckpoint(run, options.checkpoint);
      const files = [output];
      if (format === 'onnx') files.splice(0, 1, ...(await exportOnnx(checkpoint.dir, output)));
      else await exportSafetensors(checkpoint.dir, output);
      answer(json, { files, checkpoint }, () => [
        ...files.map((file) => `wrote ${file}`),
        modelLine(checkpoint),
      ]);
    });

  program
    .command('import')
    .description(
      'import a PyTorch VQ-GAN (safetensors of its state_dict) as a checkpoint for the other commands',
    )
    .argument('<file>', 'safetensors', fileToRead('a safetensors file'))
    .argument('<folder>', 'where the checkpoint is written', folderToWrite('a folder'))
    .option('--prefix <text>', 'what the names of the model start with, where the file holds several')
    .option(
      '--downsample <n | x,y,z>',
      'voxels per latent, if not the same on each axis; the original has z,y,x',
      parseSize,
    )
    .option('--groups <n>', 'groups of each norm; default 32', parseCount)
    .option('--patch <n | x,y,z>', 'patches that volumes are cut into', parseSize)
    .option('--stride <n | x,y,z>', 'distance of neighbouring patches', parseSize)
    .option('--intensity <name | low,high>', 'how values become [-1, 1]; default minmax', parseIntensity)
    .option('--json', 'print one JSON value')
    .action(async (file: string, folder: string, { json, ...options }: ImportCommandOptions) => {
      const { downsample, groups, ...rest } = options;
      const model = { ...(downsample && { downsample }), ...(groups && { groups }) };
      const imported = await importSafetensors(file, folder, { ...rest, model });
      answer(json, imported, () => [
        `wrote ${imported.checkpoint}`,
        ...(imported.ignored.length > 0
          ? [`passed over ${imported.ignored.length} other arrays: ${byModule(imported.ignored)}`]
          : []),
      ]);
    });
}

/** Names in short: several of one module become `module.* (number)`. */
function byModule(names: readonly string[]): string {
  const modules = new Map<string, string[]>();
  for (const name of names) {
    const module = name.split('.', 1)[0]!;
    modules.set(module, [...(modules.get(module) ?? []), name]);
  }
  return [...modules]
    .map(([module, own]) => (own.length === 1 ? own[0]! : `${module}.* (${own.length})`))
    .join(', ');
}

interface ExportCommandOptions {
  format: string;
  checkpoint?: 'last' | 'best';
  json?: boolean;
}

interface ImportCommandOptions {
  prefix?: string;
  downsample?: Size;
  groups?: number;
  patch?: Size;
  stride?: Size;
  intensity?: IntensitySpec;
  json?: boolean;
}
