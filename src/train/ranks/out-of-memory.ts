import type { BackendInfo } from '../../compute/use-backend';
import { isPatchwiseError, RunFailed } from '../../errors';
import { memoryRemedies } from '../../model/forecast/fit';
import { type ForecastDevice, forecastMemory } from '../../model/forecast/forecast';
import type { RunConfig } from '../settings/config';

type Where = Pick<BackendInfo, 'name' | 'device'>;

/** Messages of libtorch on GPUs, of tfjs and of V8. */
const exhausted = /out of memory|failed to allocate|allocation failed/i;

/**
 * An error of a step. If memory has run out, the result says how much the step takes by forecast, and how much with each
 * remedy: a smaller patch, a smaller batch, checkpointing, and bf16 if the backend has it.
 */
export function explainOutOfMemory(error: unknown, run: string, config: RunConfig, where: Where): unknown {
  if (!(error instanceof Error)) return error;
  if (!isPatchwiseError(error, 'OutOfMemory') && !exhausted.test(error.message)) return error;
  const request = { ...config, device: deviceOf(where) };
  const needs = forecastMemory(config.model, config.patch, request).total;
  const remedies = memoryRemedies(request).filter(({ memory }) => memory.total < needs);
  const lines = remedies.map(({ setting, memory }) => `  --set ${setting} takes ${GiB(memory.total)}`);
  const reason =
    `out of memory: a step on patch ${config.patch.join(' x ')}, batch ${config.batch}, takes ${GiB(needs)} a rank ` +
    `by forecast (${error.message.split('\n')[0]}). Each of these takes less:\n${lines.join('\n')}\n` +
    '`npx patchwise plan --gpu-memory GiB` proposes settings that fit';
  return new RunFailed(run, 'failed', reason, { cause: error });
}

function deviceOf({ name, device }: Where): ForecastDevice {
  if (name === 'libtorch') return /cuda/i.test(device) ? 'gpu' : 'libtorch';
  return name === 'tensorflow' ? 'gpu' : 'wasm';
}

/** In the unit of `plan --gpu-memory`, also below 1. */
function GiB(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(bytes < 2 ** 30 ? 3 : 1)} GiB`;
}
