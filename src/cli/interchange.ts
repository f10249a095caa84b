import type { Command } from 'commander';
import { exportOnnx, exportSafetensors, type ImportOptions, importSafetensors, type Size } from '../index';
import { chooseCheckpoint } from '../internal';
import { addCommand, checkpointOption } from './command';
import { fileToRead, folderToWrite } from './paths';
import { modelLine } from './terminal';

interface ExportCommandOptions {
  readonly format: string;
  readonly checkpoint?: 'last' | 'best';
}

interface ImportCommandOptions extends Omit<ImportOptions, 'model'> {
  readonly downsample?: Size;
  readonly groups?: number;
}

export function addInterchange(program: Command): void {
  addCommand(program, 'export', {
    does: 'export a trained model for PyTorch (safetensors) or onnxruntime',
    takes: `
      <run>            run id, run folder or checkpoint folder
      <output>         a file; for onnx also a folder, which gets encoder, quantiser, embedding and decoder
      --format <name>  what is written (required)
      ${checkpointOption}`,
    reads: { format: ['safetensors', 'onnx'] },
    answers: async (run: string, output: string, { format, checkpoint: which }: ExportCommandOptions) => {
      const checkpoint = await chooseCheckpoint(run, which);
      const isOnnx = format === 'onnx';
      const files = isOnnx ? await exportOnnx(checkpoint.dir, output) : [output];
      if (!isOnnx) await exportSafetensors(checkpoint.dir, output);
      return [{ files, checkpoint }, [...files.map((file) => `wrote ${file}`), modelLine(checkpoint)]];
    },
  });

  addCommand(program, 'import', {
    does: 'import a PyTorch VQ-GAN (safetensors of its state_dict) as a checkpoint for the other commands',
    takes: `
      <file>                    safetensors
      <folder>                  where the checkpoint is written
      --prefix <text>           what the names of the model start with, where the file holds several
      --downsample <n | x,y,z>  voxels per latent, if not the same on each axis; the original has z,y,x
      --groups <n>              groups of each norm; default 32
      --patch <n | x,y,z>       patches that volumes are cut into
      --stride <n | x,y,z>      distance of neighbouring patches
      --intensity <name | low,high>  how values become [-1, 1]; default minmax`,
    reads: { file: fileToRead('a safetensors file'), folder: folderToWrite('a folder') },
    answers: async (file: string, folder: string, options: ImportCommandOptions) => {
      const { downsample, groups, ...rest } = options;
      const model = { ...(downsample && { downsample }), ...(groups && { groups }) };
      const imported = await importSafetensors(file, folder, { ...rest, model });
      const { checkpoint, ignored } = imported;
      const others = `passed over ${ignored.length} other arrays: ${byModule(ignored)}`;
      return [imported, [`wrote ${checkpoint}`, ...(ignored.length > 0 ? [others] : [])]];
    },
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
