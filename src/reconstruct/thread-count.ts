import { availableParallelism } from 'node:os';
import type { Precision } from '../compute/contract/backend';
import type { BackendInfo } from '../compute/use-backend';
import type { ModelConfig } from '../model/config';
import { type ForecastDevice, forecastReconstruction } from '../model/forecast/forecast';
import type { Vec3 } from '../vec3';

/** The part of the free memory for these threads; the rest is for the volume that is blended meanwhile. */
const SHARE = 0.5;

/** Copies of a patch in JavaScript: waiting, in file values, in the model's, decoded, mirrored, on its way back. */
const COPIES = 8;

/** What a thread needs before it has a model. */
const THREAD = 64 * 2 ** 20;

type Computes = Pick<BackendInfo, 'name' | 'device'>;

/** The backend's device, as forecasts name it. */
export function forecastDeviceOf({ name, device }: Computes): ForecastDevice {
  if (name !== 'libtorch') return 'wasm';
  return device === 'CPU' ? 'libtorch' : 'gpu';
}

/** Bytes of a thread that sends patches through a model. */
export function workerBytes(model: ModelConfig, patch: Vec3, device: ForecastDevice, precision: Precision) {
  const copies = COPIES * 4 * patch.reduce((product, size) => product * size);
  return THREAD + copies + forecastReconstruction(model, patch, { device, precision });
}

/**
 * How many such threads are worth their memory: one on a GPU; two if the backend has threads of its own, so that one
 * computes while the other moves patches; otherwise one per core. Fewer if memory is short, and at least one.
 */
export function mostWorkers(
  computes: Computes,
  bytes: number,
  { cores = availableParallelism(), free = process.availableMemory() } = {},
): number {
  const { name, device } = computes;
  const own = name === 'libtorch' || name === 'tensorflow';
  const wanted = own ? (device === 'CPU' ? Math.min(2, cores) : 1) : cores;
  return Math.max(1, Math.min(wanted, Math.floor((SHARE * free) / bytes)));
}
