import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import {
  forecastMemory,
  type Grid,
  InvalidArgument,
  type MemoryForecast,
  phantom,
  planGrid,
  presets,
  readVolume,
  type Size,
  type TrainOptions,
  type Vec3,
  writeVolume,
} from '../index';
import {
  checkpointings,
  checkShape,
  type Fit,
  fewLatents,
  fitMemory,
  forecastDevices,
  forecastReconstruction,
  precisions,
  processBytes,
  readConfig,
  resolveConfig,
} from '../internal';
import { fileToRead, niftiToWrite } from './paths';
import { answer, columns, formatBytes, interruptible, parseCount, parseSize, parseWhole } from './terminal';

/** The part of a GPU kept for a CUDA context, cuDNN's workspace and fragmentation. An estimate, not measured. */
const KEPT_FREE = 0.06;

const GiB = 2 ** 30;

export function addPlan(program: Command): void {
  program
    .command('plan')
    .description('the patch grid of a volume, what a training step needs, and what fits into a GPU')
    .argument(
      '[config]',
      'YAML file with the run configuration, as `train` takes it',
      fileToRead('a YAML file'),
    )
    .option('--volume <n | x,y,z | file>', 'size of the volume in voxels, or a NIfTI file')
    .option('--preset <name>', `model and sizes: ${Object.keys(presets).join(', ')}`)
    .option('--model <name>', 'another word for --preset')
    .option('--patch <n | x,y,z>', 'size of a patch in voxels', parseSize)
    .option('--stride <n | x,y,z>', 'distance of neighbouring patches in voxels', parseSize)
    .option('--batch <n>', 'patches of one pass of a rank', parseCount)
    .option('--checkpointing <what>', `computed again in the backward pass: ${checkpointings.join(', ')}`)
    .option('--precision <name>', `what activations are stored in: ${precisions.join(', ')}`)
    .option(
      '--set <key=value...>',
      'any other setting of `train`, such as model.hidden=32 model.downsample=8,8,8',
    )
    .option('--no-gan', 'leave out the discriminators')
    .option('--device <name>', `what computes: ${forecastDevices.join(', ')}; default gpu with --gpu-memory`)
    .option('--gpu-memory <GiB>', 'propose batch, patch, stride and checkpointing that fit', parseMemory)
    .option('--json', 'print one JSON value')
    .action(async (file: string | undefined, options: PlanOptions) => {
      const given = await givenSettings(file, options);
      const data = ['phantom:64x64x64']; // any: nothing is read
      const config = resolveConfig({ ...given, preset: given.preset ?? 'guide', data });
      const { gpuMemory } = options;
      const { model, gan, patch, stride, ranks, accumulate } = config;
      const request = {
        ...{ model, gan, patch, stride },
        batch: given.batch ?? (gpuMemory === undefined ? 1 : config.batch),
        ...(given.checkpointing && { checkpointing: config.checkpointing }),
        ...(given.precision && { precision: config.precision }),
        device: options.device
          ? oneOf('device', options.device, forecastDevices)
          : gpuMemory === undefined
            ? ('libtorch' as const)
            : ('gpu' as const),
      };
      const grid =
        options.volume === undefined ? undefined : planGrid(await shapeOf(options.volume), { patch, stride });
      const memory = forecastMemory(model, patch, request);
      const own = processBytes(memory, request.device);
      const worker = forecastReconstruction(model, patch, request);
      const few = fewLatents(model, patch, request.batch * accumulate * ranks);
      const usable = gpuMemory === undefined ? undefined : gpuMemory * GiB * (1 - KEPT_FREE);
      const fits = usable === undefined ? undefined : fitMemory(request, usable);
      const plan = {
        ...(grid && {
          volume: grid.volume,
          patch: grid.patch,
          stride: grid.stride,
          grid: grid.counts,
          patches: grid.patches,
          overlap: { x: grid.overlap[0], y: grid.overlap[1], z: grid.overlap[2] },
          coverage: grid.coverage,
          padding: grid.padding,
        }),
        memory: {
          ...{ preset: config.preset, device: request.device, batch: request.batch, patch },
          ...{ checkpointing: request.checkpointing ?? 'none', precision: request.precision ?? 'float32' },
          ...memory,
          process: own,
        },
        reconstruct: { worker },
        ...(few && { warning: few }),
        ...(fits && { gpuMemory: { given: gpuMemory! * GiB, usable }, fits }),
      };
      answer(options.json, plan, () => [
        ...(grid ? gridLines(grid) : []),
        request.device === 'gpu'
          ? `memory   ${formatBytes(memory.total)} of a rank's GPU at the worst moment of a step, and ${formatBytes(own)} of the host's`
          : `memory   ${formatBytes(memory.total + own)} a rank: ${formatBytes(memory.total)} of tensors at the worst moment of a step, ${formatBytes(own)} of its process`,
        `         preset ${config.preset}, patch ${patch.join(' x ')}, batch ${request.batch}, ${plan.memory.precision}, ` +
          `checkpointing ${plan.memory.checkpointing}, on ${request.device}`,
        `         ${parts(memory)}`,
        `reconstruct  ${formatBytes(worker)} of tensors a worker (--workers)`,
        ...(few ? [`warning  ${few}`] : []),
        ...(fits ? fitLines(gpuMemory!, usable!, fits) : []),
      ]);
      if (fits?.length === 0) process.exitCode = 1;
    });

  program
    .command('phantom')
    .description('write a chest phantom in Hounsfield units as NIfTI')
    .argument('<file>', 'where to write: .nii or .nii.gz', niftiToWrite)
    .option('--shape <n | x,y,z>', 'size in voxels', parseSize, [128, 128, 152])
    .option('--seed <n>', 'another seed, another patient', parseWhole, 0)
    .option('--json', 'print one JSON value')
    .action(async (file: string, options: { shape: Size; seed: number; json?: boolean }) => {
      const volume = phantom({ shape: options.shape, seed: options.seed });
      await writeVolume(file, volume, { ...interruptible('phantom'), dtype: 'int16' });
      answer(options.json, { file, shape: volume.shape, spacing: volume.spacing }, () => `wrote ${file}`);
    });
}

/** The settings of a YAML file and of the options; an option overrides the file. */
async function givenSettings(file: string | undefined, options: PlanOptions): Promise<TrainOptions> {
  const { set, model, preset = model, patch, stride, batch, checkpointing, precision } = options;
  if (checkpointing) oneOf('checkpointing', checkpointing, checkpointings);
  if (precision) oneOf('precision', precision, precisions);
  const overrides = Object.entries({ preset, patch, stride, batch, checkpointing, precision })
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${value}`);
  const without = options.gan ? [] : ['gan.slice=0', 'gan.patch=0'];
  return readConfig(file, { overrides: [...overrides, ...(set ?? []), ...without] });
}

interface PlanOptions {
  set?: string[];
  volume?: string;
  preset?: string;
  model?: string;
  patch?: Size;
  stride?: Size;
  batch?: number;
  checkpointing?: string;
  precision?: string;
  gan: boolean;
  device?: string;
  gpuMemory?: number;
  json?: boolean;
}

async function shapeOf(volume: string): Promise<Vec3> {
  if (existsSync(volume)) return (await readVolume(volume)).shape;
  try {
    return checkShape('volume', parseSize(volume));
  } catch {
    throw new InvalidArgument('--volume', 'one number, three (x,y,z), or a NIfTI file', volume);
  }
}

function gridLines(grid: Grid): string[] {
  const overlap = ['x', 'y', 'z'].map((axis, i) => `${axis} ${grid.overlap[i]!.join(' ') || '-'}`);
  return [
    `volume   ${grid.volume.join(' x ')} voxels, ${formatBytes(4 * grid.volume.reduce((a, b) => a * b))} as float32`,
    `patch    ${grid.patch.join(' x ')}, stride ${grid.stride.join(' x ')}`,
    `grid     ${grid.counts.join(' x ')} = ${grid.patches} patches, coverage ${grid.coverage}`,
    `overlap  ${overlap.join(' | ')}`,
  ];
}

function parts(memory: MemoryForecast): string {
  const { activations, backward, weights, gradients, optimiser, discriminators, codebook } = memory;
  const named = { activations, 'losses and backward pass': backward, weights, gradients, Adam: optimiser };
  const all = { ...named, codebook, ...(discriminators > 0 && { discriminators }) };
  return Object.entries(all)
    .map(([name, bytes]) => `${formatBytes(bytes)} ${name}`)
    .join(', ');
}

function fitLines(given: number, usable: number, fits: readonly Fit[]): string[] {
  if (fits.length === 0)
    return [`fits     nothing into ${formatBytes(usable)}, not even an eighth of the patch`];
  const rows = fits.map(({ patch, stride, batch, mostBatch, checkpointing, precision, memory }) => [
    `patch=${patch.join(',')}`,
    `stride=${stride.join(',')}`,
    `batch=${batch}`,
    `checkpointing=${checkpointing}`,
    `precision=${precision}`,
    formatBytes(memory.total),
    `batch up to ${mostBatch}`,
  ]);
  return [
    `fits     into ${formatBytes(usable)} (${given} GiB less ${100 * KEPT_FREE} % for what is not a tensor), best first:`,
    ...columns(rows).map((line) => `  --set ${line}`),
  ];
}

function parseMemory(text: string): number {
  const value = Number(text.replace(/\s*Gi?B?$/i, ''));
  if (!(value > 0) || !Number.isFinite(value))
    throw new InvalidArgument('gpu-memory', 'GiB of one GPU, such as 141', text);
  return value;
}

function oneOf<T extends string>(argument: string, text: string, allowed: readonly T[]): T {
  const known = allowed.find((value) => value === text);
  if (known) return known;
  throw new InvalidArgument(argument, 'one of those', text, allowed);
}
