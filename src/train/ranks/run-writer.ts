import { version } from '../../package';
import type { TrainingData } from '../data/loader';
import type { Cursor } from '../data/sampler';
import type { Learner } from '../learn/learner';
import type { StepResult } from '../learn/step';
import type { RankingState } from '../record/best';
import { type CheckpointState, saveCheckpoint } from '../record/checkpoint';
import { whenDiskHasSpace } from '../record/disk-space';
import { middleSlices, writeLatestSlices } from '../record/latest-slices';
import type { MetricRecord } from '../record/metrics-log';
import { MetricsReader } from '../record/metrics-reader';
import { MetricsLog } from '../record/metrics-writer';
import { metricsPath, type StoredConfig, settingsOf, writeStoredConfig } from '../record/run-folder';
import { TensorboardEvents } from '../record/tensorboard';
import { printOf } from './resume';

interface WriterOptions {
  readonly runDir: string;
  readonly stored: StoredConfig;
  readonly data: TrainingData;
  readonly ranks: number;
  readonly stop: AbortSignal;
  /** Called when the disk is full, and without a message once it has space again. */
  readonly warn: (message: string | undefined) => void;
}

/** Writes the run's folder, on rank 0. Waits while the disk is full. */
export class RunWriter {
  private log: MetricsLog | undefined;
  private events: TensorboardEvents | undefined;

  constructor(private readonly options: WriterOptions) {}

  /**
   * Opens the log and adds `resolved` to the config.
   * @param after the step from which the run goes on
   * @param repeats whether the later steps in the log come again unchanged
   */
  async open(resolved: StoredConfig['resolved'], after: number, repeats: boolean): Promise<void> {
    const { runDir, stored } = this.options;
    await this.write('config.json', () => writeStoredConfig(runDir, { ...stored, resolved }));
    this.log = new MetricsLog(metricsPath(runDir), after, repeats);
    const { later } = this.log;
    if (later.damaged > 0)
      console.error(`metrics.jsonl: damaged lines after step ${after}: ${later.damaged}`);
    const events = await this.write('the TensorBoard file', () => new TensorboardEvents(runDir, after));
    // Steps in the log do not come again. Earlier event files, if there are any, end at this step.
    const missing = new MetricsReader(metricsPath(runDir), events.isFirst ? 0 : later.offset);
    for await (const records of missing.read())
      await this.write('TensorBoard records', () => events.append(...records));
    this.events = events;
  }

  /** @param wholeStep seconds */
  async train(
    step: number,
    { epoch, total }: { readonly epoch: number; readonly total: number },
    { measured, spent }: StepResult,
    wholeStep: number,
  ): Promise<void> {
    const { volumes, train } = this.options.data;
    const patchesPerSecond = total / wholeStep;
    const pace = { patchesPerSecond, volumesPerSecond: (patchesPerSecond * volumes) / train.count };
    const seconds = { step: wholeStep, ...spent };
    await this.record({ ...measured, step, epoch, split: 'train', ...pace, seconds });
  }

  async record({ step, epoch, split, ...figures }: Omit<MetricRecord, 'time'>): Promise<void> {
    const record = { step, epoch, time: new Date().toISOString(), split, ...figures };
    if (await this.write('a metrics record', () => this.log!.append(record)))
      await this.write('a TensorBoard record', () => this.events!.append(record));
  }

  /** A validation patch for those who watch the run. The run itself does not need it, so it never waits. */
  slices(step: number, patch: Float32Array, decoded: Float32Array): void {
    const { runDir, stored } = this.options;
    try {
      writeLatestSlices(runDir, middleSlices(step, stored.patch, patch, decoded));
    } catch {
      // A full disk: the next validation tries again.
    }
  }

  /** Writes the metrics first, so that a run that resumes from the checkpoint misses no record. */
  async checkpoint(
    learner: Learner,
    at: Pick<CheckpointState, 'step' | keyof Cursor | keyof RankingState>,
  ): Promise<void> {
    const { runDir, stored, data, ranks } = this.options;
    const { batch, accumulate, keep } = stored;
    const { model, optimiser, counters } = learner.state();
    const state: CheckpointState = {
      ...at,
      ...counters,
      config: settingsOf(stored),
      intensities: data.intensities,
      data: printOf(data),
      patchwise: version(),
      shape: { ranks, batch, accumulate },
      metricsBytes: await this.write('the metrics', () => this.log!.sync()),
    };
    await this.write(`the checkpoint of step ${at.step}`, () =>
      saveCheckpoint(runDir, { state, model, optimiser }, { best: at.best?.step === at.step, keep }),
    );
  }

  private write<T>(what: string, write: () => T): Promise<T> {
    const { stored, stop, warn } = this.options;
    const patience = 0.8 * stored.timeout; // less than the other ranks wait for this one
    return whenDiskHasSpace(what, write, { run: stored.id, patience, signal: stop, warn });
  }
}
