import type { ModelConfig } from '../config';
import type { WeightShape } from '../weights';
import { FiniteScalarQuantiser } from './finite-scalar';
import { LookupFreeQuantiser } from './lookup-free';
import { MovingAverageQuantiser } from './moving-average';
import { quantiserSettings } from './options';
import type { Quantiser } from './quantiser';
import { ResidualQuantiser } from './residual';
import { SimQuantiser, simWeights } from './sim';

/** The quantiser of a checked config. `seed` is the model's. */
export function createQuantiser(config: ModelConfig, seed: number): Quantiser {
  const settings = quantiserSettings(config);
  const { codes, codeDim, commitment, decay, restartBelow } = config;
  const options = { ...settings, codes, codeDim, commitment, decay, restartBelow };
  switch (settings.quantiser) {
    case 'ema':
      return new MovingAverageQuantiser(options);
    case 'fsq':
      return new FiniteScalarQuantiser(settings.levels, settings.gain);
    case 'lfq':
      return new LookupFreeQuantiser(options);
    case 'simvq':
      return new SimQuantiser(options, seed);
    case 'residual':
      return new ResidualQuantiser(options);
  }
}

/** What the quantiser learns by gradients. */
export function quantiserWeights(config: ModelConfig): WeightShape[] {
  return config.quantiser === 'simvq' ? simWeights(config.codeDim) : [];
}

/** Distinct codes over all codebooks, without making the quantiser. */
export function codeCount(config: ModelConfig): number {
  return config.quantiser === 'residual' ? quantiserSettings(config).codebooks * config.codes : config.codes;
}
