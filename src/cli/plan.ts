import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import {
  forecastMemory,
  phantom,
  planGrid,
  presetNamed,
  presets,
  readVolume,
  type Vec3,
  writeVolume,
} from '../index';
import { answer, formatBytes, interruptible, parseCount, parseVec3 } from './terminal';

export function addPlan(program: Command): void {
  program
    .command('plan')
    .description('the patch grid of a volume, and what a training step on one patch needs')
    .requiredOption('--volume <x,y,z | file>', 'size of the volume in voxels, or a NIfTI file')
    .option('--preset <name>', `model and sizes: ${Object.keys(presets).join(', ')}`, 'guide')
    .option('--patch <x,y,z>', 'size of a patch in voxels', parseVec3)
    .option('--stride <x,y,z>', 'distance of neighbouring patches in voxels', parseVec3)
    .option('--batch <n>', 'patches in a step of one rank', parseCount, 1)
    .option('--json', 'print one JSON value')
    .action(async (options: PlanOptions) => {
      const preset = presetNamed(options.preset);
      const volume = existsSync(options.volume)
        ? (await readVolume(options.volume)).shape
        : parseVec3(options.volume);
      const patch = options.patch ?? preset.patch;
      const stride = options.stride ?? (options.patch ? undefined : preset.stride);
      const grid = planGrid(volume, { patch, stride });
      const memory = forecastMemory(preset.model, patch, options.batch);
      const plan = {
        volume: grid.volume,
        patch: grid.patch,
        stride: grid.stride,
        grid: grid.counts,
        patches: grid.patches,
        overlap: { x: grid.overlap[0], y: grid.overlap[1], z: grid.overlap[2] },
        coverage: grid.coverage,
        padding: grid.padding,
        memory: { preset: options.preset, batch: options.batch, ...memory },
      };
      answer(options.json, plan, () => [
        `volume   ${grid.volume.join(' x ')} voxels, ${formatBytes(4 * grid.volume.reduce((a, b) => a * b))} as float32`,
        `patch    ${grid.patch.join(' x ')}, stride ${grid.stride.join(' x ')}`,
        `grid     ${grid.counts.join(' x ')} = ${grid.patches} patches, coverage ${grid.coverage}`,
        `overlap  x ${grid.overlap[0].join(' ') || '-'} | y ${grid.overlap[1].join(' ') || '-'} | z ${grid.overlap[2].join(' ') || '-'}`,
        `memory   ${formatBytes(memory.total)} a rank with preset ${options.preset}, batch ${options.batch}, float32: ` +
          `${formatBytes(memory.activations)} activations, ${formatBytes(memory.weights)} weights, ` +
          `${formatBytes(memory.gradients)} gradients, ${formatBytes(memory.optimiser)} Adam`,
      ]);
    });

  program
    .command('phantom')
    .description('write a chest phantom in Hounsfield units as NIfTI')
    .argument('<file>', 'where to write: .nii or .nii.gz')
    .option('--shape <x,y,z>', 'size in voxels', parseVec3, [128, 128, 152])
    .option('--seed <n>', 'another seed, another patient', Number, 0)
    .option('--json', 'print one JSON value')
    .action(async (file: string, options: { shape: Vec3; seed: number; json?: boolean }) => {
      const volume = phantom({ shape: options.shape, seed: options.seed });
      await writeVolume(file, volume, { ...interruptible('phantom'), dtype: 'int16' });
      answer(options.json, { file, shape: volume.shape, spacing: volume.spacing }, () => `wrote ${file}`);
    });
}

interface PlanOptions {
  volume: string;
  preset: string;
  patch?: Vec3;
  stride?: Vec3;
  batch: number;
  json?: boolean;
}
