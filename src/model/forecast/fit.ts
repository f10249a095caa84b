import type { Precision } from '../../compute/contract/backend';
import { InvalidArgument } from '../../errors';
import { type Vec3, voxelCount } from '../../vec3';
import type { ModelConfig } from '../config';
import type { Checkpointing } from '../tensor-layers';
import { type ForecastOptions, forecastMemory, type MemoryForecast } from './forecast';

/** What a run is meant to do, before anybody asks whether it fits. */
interface FitRequest extends ForecastOptions {
  readonly model: ModelConfig;
  readonly patch: Vec3;
  readonly stride: Vec3;
  readonly batch: number;
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
  const size = ({ patch, batch }: Fit) => voxelCount(patch) * 2 + (batch === request.batch ? 1 : 0);
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
  const propose = (setting: string, change: Partial<FitRequest>) =>
    remedies.push({ setting, memory: forecast(change) });
  const smaller = patches(request).find(({ patch }) => voxelCount(patch) <= 0.6 * voxelCount(request.patch));
  if (smaller) propose(`patch=${smaller.patch.join(',')} stride=${smaller.stride.join(',')}`, smaller);
  const fewer = Math.floor(batch / 2);
  if (batch > 1) propose(`batch=${fewer}${batch % 2 === 0 ? ' accumulate=2' : ''}`, { batch: fewer });
  if (checkpointing === 'none' && hasBlocks(model))
    propose('checkpointing=blocks', { checkpointing: 'blocks' });
  if (precision !== 'bf16' && device !== 'wasm') propose('precision=bf16', { precision: 'bf16' });
  return remedies;
}

/** Whether there is anything for checkpointing to compute again. */
function hasBlocks({ encoderBlocks, decoderBlocks }: ModelConfig): boolean {
  return encoderBlocks + decoderBlocks > 0;
}

/** How a step may compute, the cheapest way first. */
function waysToCompute({ model, device, ...asked }: FitRequest) {
  const checkpointings: readonly Checkpointing[] = asked.checkpointing
    ? [asked.checkpointing]
    : ['none', ...(hasBlocks(model) ? (['blocks'] as const) : [])];
  const precisions: readonly Precision[] = asked.precision
    ? [asked.precision]
    : ['float32', ...(device === 'wasm' ? [] : (['bf16'] as const))];
  return precisions.flatMap((precision) =>
    checkpointings.map((checkpointing) => ({ checkpointing, precision })),
  );
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
