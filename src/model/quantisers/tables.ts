import type { ModelConfig } from '../config';
import type { StateArray } from '../weights';
import { signRows } from './code-probabilities';
import { levelRows } from './finite-scalar';
import { quantiserSettings } from './options';
import { seenCodes } from './sim';

/**
 * The vector of every code, [codes * codeDim], of each codebook, from a model's state alone: what other programs need
 * to turn codes into what the decoder gets.
 */
export function codeTables(config: ModelConfig, state: ReadonlyMap<string, StateArray>): Float32Array[] {
  const { quantiser, levels, codebooks } = quantiserSettings(config);
  const all = Array.from({ length: config.codes }, (_, code) => code);
  switch (quantiser) {
    case 'ema':
      return [state.get('codebook.embeddings')!.data];
    case 'residual':
      return Array.from({ length: codebooks }, (_, b) => state.get(`codebook.${b}.embeddings`)!.data);
    case 'fsq':
      return [levelRows(all, levels)];
    case 'lfq':
      return [signRows(all, config.codeDim)];
    case 'simvq':
      return [seenCodes(config, state)];
  }
}
