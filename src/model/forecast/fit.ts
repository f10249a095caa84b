import type { Precision } from '../../compute/contract/backend';
import { InvalidArgument } from '../../errors';
import type { ModelConfig } from '../config';
import type { GanConfig } from '../discriminators/config';
import type { Checkpointing } from '../tensor-layers';
import { type ForecastDevice, forecastMemory, type MemoryForecast } from './forecast';

type Vec3 = readonly [number, number, number];

/** What a run is meant to do, before anybody asks whether it fits. */
interface FitRequest {
  readonly model: ModelConfig;
  readonly gan?: GanConfig;
  readonly patch: Vec3;
  readonly stride: Vec3;
  readonly batch: number;
  readonly checkpointing?: Checkpointing;
  readonly precision?: Precision;
  readonly device?: ForecastDevice;
}

/** Settings of a training step that fits. */
export interface Fit {
  readonly patch: Vec3;
  readonly stride: Vec3;
  /** As asked for where that fits, else the most that does. */
  readonly batch: number;
  /** The largest batch that would fit. */
  readonly mostBatch: number;
  readonly checkpointing: Checkpointing;
  readonly precision: Precision;
  readonly memory: MemoryForecast;
}

/** Parts of the patch that are tried, the largest first. */
const shares = [1, 7 / 8, 3 / 4, 5 / 8, 1 / 2, 3 / 8, 1 / 4, 3 / 16, 1 / 8];
const MOST_BATCH = 1024;

/**
 * Settings with which a step takes at most `bytes`, the one to take first: the largest patch, then plain before
 * checkpointing before bf16, each with its stride at the same overlap. For each way of computing only its largest patch.
 * Empty where nothing fits.
 * @throws InvalidArgument for a model or a patch that makes no sense
 */
export function fitMemory(request: FitRequest, bytes: number): Fit[] {
  if (!(bytes > 0)) throw new InvalidArgument('memory', 'a number of bytes above 0', bytes);
  const ways = waysToCompute(request);
  const fits = ways.flatMap((way) => {
    for (const { patch, stride } of patches(request)) {
      const need = (batch: number) =>
        forecastMemory(request.model, patch, { ...request, ...way, batch }).total;
      if (need(1) > bytes) continue;
      const mostBatch = largest((batch) => need(batch) <= bytes);
      const batch = Math.min(request.batch, mostBatch);
      const memory = forecastMemory(request.model, patch, { ...request, ...way, batch });
      return [{ patch, stride, batch, mostBatch, ...way, memory }];
    }
    return [];
  });
  const size = ({ patch, batch }: Fit) =>
    patch.reduce((a, b) => a * b) * 2 + (batch === request.batch ? 1 : 0);
  // Stable: of equal patches the earlier way is the cheaper one.
  return fits.sort((a, b) => size(b) - size(a));
}

/**
 * What to do where a step does not fit, with what each would take: the smaller patch, the smaller batch,
 * checkpointing; and bf16 where the backend has it. The settings are written as `--set` takes them.
 */
export function memoryRemedies(request: FitRequest): { setting: string; memory: MemoryForecast }[] {
  const { model, batch, checkpointing = 'none', precision = 'float32', device } = request;
  const forecast = (change: Partial<FitRequest>) =>
    forecastMemory(model, change.patch ?? request.patch, { ...request, ...change });
  const remedies: { setting: string; memory: MemoryForecast }[] = [];
  const smaller = patches(request).find(({ patch }) => volume(patch) <= 0.6 * volume(request.patch));
  if (smaller) {
    const { patch, stride } = smaller;
    remedies.push({
      setting: `patch=${patch.join(',')} stride=${stride.join(',')}`,
      memory: forecast({ patch }),
    });
  }
  if (batch > 1) {
    const fewer = Math.floor(batch / 2);
    remedies.push({
      setting: `batch=${fewer}${batch % 2 === 0 ? ' accumulate=2' : ''}`,
      memory: forecast({ batch: fewer }),
    });
  }
  const hasBlocks = model.encoderBlocks + model.decoderBlocks > 0;
  if (checkpointing === 'none' && hasBlocks)
    remedies.push({ setting: 'checkpointing=blocks', memory: forecast({ checkpointing: 'blocks' }) });
  if (precision === 'float32' && device !== 'wasm')
    remedies.push({ setting: 'precision=bf16', memory: forecast({ precision: 'bf16' }) });
  return remedies;
}

function waysToCompute({
  model,
  checkpointing,
  precision,
  device,
}: FitRequest): { checkpointing: Checkpointing; precision: Precision }[] {
  const hasBlocks = model.encoderBlocks + model.decoderBlocks > 0;
  const checkpointings = checkpointing
    ? [checkpointing]
    : hasBlocks
      ? (['none', 'blocks'] as const)
      : (['none'] as const);
  const precisions = precision
    ? [precision]
    : device === 'wasm'
      ? (['float32'] as const)
      : (['float32', 'bf16'] as const);
  return precisions.flatMap((p) => checkpointings.map((c) => ({ checkpointing: c, precision: p })));
}

/** The patch and smaller ones of its shape, each a multiple of the downsampling, with strides of its overlap. */
function patches({ model, patch, stride }: FitRequest): { patch: Vec3; stride: Vec3 }[] {
  const seen = new Set<string>();
  return shares.flatMap((share) => {
    const smaller = patch.map((size, axis) => {
      const unit = model.downsample[axis]!;
      return share === 1 ? size : Math.max(unit, Math.round((size * share) / unit) * unit);
    }) as unknown as Vec3;
    if (seen.has(smaller.join())) return [];
    seen.add(smaller.join());
    const steps = smaller.map((size, axis) => Math.max(1, Math.floor((size * stride[axis]!) / patch[axis]!)));
    return [{ patch: smaller, stride: share === 1 ? stride : (steps as unknown as Vec3) }];
  });
}

function largest(fits: (batch: number) => boolean): number {
  let [low, high] = [1, 2];
  while (high <= MOST_BATCH && fits(high)) [low, high] = [high, 2 * high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}

function volume(size: Vec3): number {
  return size[0] * size[1] * size[2];
}
