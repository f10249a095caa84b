import { median } from '../median';
import { forecastMemory } from '../model/forecast/forecast';
import type { MetricRecord } from '../train/record/metrics-log';
import type { Run } from '../train/run';
import type { RunConfig } from '../train/settings/config';
import { voxelsPerStep } from './budget';

/** What a run's training cost. */
export interface TrainingFigures {
  readonly ranks: number;
  readonly steps: number;
  /** Voxels that all ranks together have seen, repeats included. */
  readonly voxels: number;
  /** Wall time of its steps, from its first record to its last, in seconds. */
  readonly seconds: number;
  /** Median wall time of a step, the first ones left out. */
  readonly secondsPerStep: number;
  readonly patchesPerSecond: number;
  /** Forecast of what one rank needs for a step, in bytes. */
  readonly memory: number;
  /** Best validation PSNR, dB; of the run's own view of its own validation data. */
  readonly validationPsnr?: number;
}

/** The first steps of a run are slow: code is compiled, files are read. */
const WARM_UP = 5;

/** What a run's training cost, from its config and its records. */
export async function trainingFigures(run: Run): Promise<TrainingFigures> {
  const [config, course, status] = await Promise.all([run.config(), run.course(), run.status()]);
  const { records, best } = course;
  const train = records.filter(({ split }) => split === 'train');
  const times = train.map(({ time }) => Date.parse(time));
  const patches = medianOf(train, ({ patchesPerSecond }) => patchesPerSecond);
  return {
    ranks: config.ranks,
    steps: status.step,
    voxels: status.step * voxelsPerStep(config),
    seconds: times.length > 1 ? (times.at(-1)! - times[0]!) / 1000 : 0,
    secondsPerStep: patchesPerStep(config) / patches,
    patchesPerSecond: patches,
    memory: forecastMemory(config.model, config.patch, config).total,
    ...(best && { validationPsnr: best.psnr! }),
  };
}

function patchesPerStep({ batch, ranks, accumulate = 1 }: RunConfig): number {
  return batch * ranks * accumulate;
}

function medianOf(
  records: readonly MetricRecord[],
  value: (record: MetricRecord) => number | undefined,
): number {
  const warm = records.length > 2 * WARM_UP ? records.slice(WARM_UP) : records;
  return median(warm.flatMap((record) => value(record) ?? []));
}
