import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import {
  type ForecastDevice,
  forecastMemory,
  type Grid,
  InvalidArgument,
  type MemoryForecast,
  type PhantomOptions,
  phantom,
  planGrid,
  presets,
  type TrainOptions,
  type Vec3,
  writeVolume,
} from '../index';
import {
  axisNames,
  checkpointings,
  checkShape,
  checkVolume,
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
import { addCommand } from './command';
import { fileToRead, niftiToWrite } from './paths';
import { columns, formatBytes, interruptible, parseSize, parseWhole } from './terminal';
import { overridesOf } from './train';

/** The part of a GPU kept for a CUDA context, cuDNN's workspace and fragmentation. An estimate, not measured. */
const KEPT_FREE = 0.06;

const GiB = 2 ** 30;

type Overrides = Pick<TrainOptions, 'preset' | 'patch' | 'stride' | 'batch' | 'checkpointing' | 'precision'>;

interface PlanOptions extends Overrides {
  readonly set?: readonly string[];
  readonly volume?: string;
  readonly model?: Overrides['preset'];
  readonly gan: boolean;
  readonly device?: ForecastDevice;
  readonly gpuMemory?: number;
}

export function addPlan(program: Command): void {
  addCommand(program, 'plan', {
    does: 'the patch grid of a volume, what a training step needs, and what fits into a GPU',
    takes: `
      [config]               YAML file with the run configuration, as \`train\` takes it
      --volume <n | x,y,z | file>  size of the volume in voxels, a volume file or a DICOM folder
      --preset <name>        model and sizes: ${Object.keys(presets).join(', ')}
      --model <name>         another word for --preset
      --patch <n | x,y,z>    size of a patch in voxels
      --stride <n | x,y,z>   distance of neighbouring patches in voxels
      --batch <n>            patches of one pass of a rank
      --checkpointing <what>  what the backward pass computes again
      --precision <name>     what activations are stored in
      --set <key=value...>   any other setting of \`train\`, such as model.hidden=32 model.downsample=8,8,8
      --no-gan               leave out the discriminators
      --device <name>        what computes; default gpu with --gpu-memory, else libtorch
      --gpu-memory <GiB>     propose batch, patch, stride and checkpointing that fit`,
    reads: {
      config: fileToRead('a YAML file'),
      gpuMemory: parseMemory,
      checkpointing: checkpointings,
      precision: precisions,
      device: forecastDevices,
    },
    answers: async (file: string | undefined, options: PlanOptions) => {
      const given = await givenSettings(file, options);
      const data = ['phantom:64x64x64']; // any: nothing is read
      const config = resolveConfig({ ...given, preset: given.preset ?? 'guide', data });
      const { gpuMemory, device = gpuMemory === undefined ? 'libtorch' : 'gpu', volume } = options;
      const { model, gan, patch, stride, ranks, accumulate, preset } = config;
      const batch = given.batch ?? (gpuMemory === undefined ? 1 : config.batch);
      const request = {
        model,
        gan,
        patch,
        stride,
        batch,
        device,
        // If a file or an option sets one of these, every proposal has its value; else proposals try all values.
        ...(given.checkpointing && { checkpointing: config.checkpointing }),
        ...(given.precision && { precision: config.precision }),
      };
      const { checkpointing = 'none', precision = 'float32' } = request;
      const grid = volume === undefined ? undefined : planGrid(await shapeOf(volume), { patch, stride });
      const memory = forecastMemory(model, patch, request);
      const own = processBytes(memory, device);
      const worker = forecastReconstruction(model, patch, request);
      const few = fewLatents(model, patch, batch * accumulate * ranks);
      const usable = (gpuMemory ?? 0) * GiB * (1 - KEPT_FREE);
      const fits = gpuMemory === undefined ? undefined : fitMemory(request, usable);
      if (fits?.length === 0) process.exitCode = 1;
      const answer = {
        ...(grid && gridFigures(grid)),
        memory: { preset, device, batch, patch, checkpointing, precision, ...memory, process: own },
        reconstruct: { worker },
        ...(few && { warning: few }),
        ...(fits && { gpuMemory: { given: gpuMemory! * GiB, usable }, fits }),
      };
      const [tensors, host] = [formatBytes(memory.total), formatBytes(own)];
      const settings = `preset ${preset}, patch ${patch.join(' x ')}, batch ${batch}, ${precision}`;
      return [
        answer,
        [
          ...(grid ? gridLines(grid) : []),
          device === 'gpu'
            ? `memory   ${tensors} of a rank's GPU at the worst moment of a step, and ${host} of the host's`
            : `memory   ${formatBytes(memory.total + own)} a rank: ${tensors} of tensors at the worst moment of a step, ${host} of its process`,
          `         ${settings}, checkpointing ${checkpointing}, on ${device}`,
          `         ${parts(memory)}`,
          `reconstruct  ${formatBytes(worker)} of tensors a worker (--workers)`,
          ...(few ? [`warning  ${few}`] : []),
          ...(fits ? fitLines(gpuMemory!, usable, fits) : []),
        ],
      ];
    },
  });

  addCommand(program, 'phantom', {
    does: 'write a chest phantom in Hounsfield units as NIfTI',
    takes: `
      <file>               where to write: .nii or .nii.gz
      --shape <n | x,y,z>  size in voxels (default: 128,128,152)
      --seed <n>           another seed, another patient (default: 0)`,
    reads: { file: niftiToWrite, seed: parseWhole },
    answers: async (file: string, options: PhantomOptions) => {
      const volume = phantom(options);
      await writeVolume(file, volume, { ...interruptible('phantom'), dtype: 'int16' });
      return [{ file, shape: volume.shape, spacing: volume.spacing }, `wrote ${file}`];
    },
  });
}

/** The settings of a YAML file and of the options; an option overrides the file. */
async function givenSettings(file: string | undefined, options: PlanOptions): Promise<TrainOptions> {
  const { set = [], model, preset = model, patch, stride, batch, checkpointing, precision } = options;
  const own = overridesOf({ preset, patch, stride, batch, checkpointing, precision });
  const without = options.gan ? [] : ['gan.slice=0', 'gan.patch=0'];
  return readConfig(file, { overrides: [...own, ...set, ...without] });
}

async function shapeOf(volume: string): Promise<Vec3> {
  if (existsSync(volume)) return (await checkVolume(volume)).shape;
  try {
    return checkShape('volume', parseSize(volume));
  } catch {
    throw new InvalidArgument('--volume', 'one number, three (x,y,z), or a volume file', volume);
  }
}

function gridFigures({ volume, patch, stride, counts, patches, overlap, coverage, padding }: Grid) {
  const [x, y, z] = overlap;
  return { volume, patch, stride, grid: counts, patches, overlap: { x, y, z }, coverage, padding };
}

function gridLines(grid: Grid): string[] {
  const overlap = axisNames.map((axis, i) => `${axis} ${grid.overlap[i]!.join(' ') || '-'}`);
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
    ...overridesOf({ patch, stride, batch, checkpointing, precision }),
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
