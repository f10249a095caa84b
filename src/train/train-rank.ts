import { useBackend } from '../compute/backend';
import { RunFailed } from '../errors';
import { version } from '../package';
import {
  type CheckpointState,
  checkpointDir,
  newestCheckpoint,
  readCheckpoint,
  removeHalfWritten,
  saveCheckpoint,
} from './checkpoint';
import type { Collective } from './collective/collective';
import { compareState } from './compare-state';
import { Learner } from './learner';
import { loadData, type TrainingData } from './loader';
import { type MetricRecord, MetricsLog } from './metrics-log';
import type { Reporter } from './reporter';
import {
  metricsPath,
  readStoredConfig,
  type StoredConfig,
  settingsOf,
  writeStoredConfig,
} from './run-folder';
import { type Cursor, Sampler } from './sampler';
import { type StepResult, trainStep } from './step';
import { TensorboardEvents } from './tensorboard';
import { validate } from './validate';

export interface RankOptions {
  readonly runDir: string;
  readonly collective: Collective;
  readonly stop: AbortSignal;
  readonly report: Reporter;
  /** Written to as the run goes on, for the heartbeat. */
  readonly progress: { step: number; training: boolean };
}

/** Trains one rank of a run to its end, from the newest whole checkpoint if there is one. */
export async function trainRank(options: RankOptions): Promise<'done' | 'stopped'> {
  const { runDir, collective, stop, report, progress } = options;
  const stored = readStoredConfig(runDir);
  const config = settingsOf(stored);
  const backend = await useBackend(config.backend);
  const data = await loadData(config, { signal: stop });
  const sampler = new Sampler({ ...config, patches: data.train.count, ranks: collective.worldSize });
  const steps = config.steps ?? config.epochs! * sampler.stepsPerEpoch;
  const learner = new Learner(config, steps);
  const training = { learner, collective, config, patches: data.train };

  const resumed = await resume(options, learner);
  let [step, cursor, best]: [number, Cursor, Best] = [
    resumed?.step ?? 0,
    resumed ?? { epoch: 0, position: 0 },
    resumed?.best,
  ];
  progress.step = step;
  progress.training = true;
  const writer = collective.rank === 0 ? new RunWriter(runDir, stored, data) : undefined;
  writer?.resolved({
    backend,
    intensities: data.intensities,
    steps,
    stepsPerEpoch: sampler.stepsPerEpoch,
    patches: { train: data.train.count, validation: data.validation.count },
  });
  await report({ type: 'ready', steps, step, backend: backend.name, reason: backend.reason });

  let stopped = false;
  while (step < steps && !stopped) {
    const started = performance.now();
    const { epoch } = cursor;
    const share = sampler.share(cursor, collective.rank);
    data.train.prefetch(share.patches);
    data.train.prefetch(sampler.share(share.next, collective.rank).patches);
    const result = await trainStep(training, share, step, stop.aborted);
    if (!Number.isFinite(result.loss) || !Number.isFinite(result.gradientNorm))
      throw diverged(stored, step, result);
    step++;
    cursor = share.next;
    progress.step = step;
    stopped = result.stop;
    const seconds = (performance.now() - started) / 1000;
    const last = step === steps;
    if (step % config.logEvery === 0 || last || stopped)
      writer?.train(step, epoch, result, share.total, seconds);

    let improved = false;
    if (data.validation.count > 0 && (isDue(step, config.validateEvery) || last)) {
      const measured = await validate({ ...training, model: learner.model }, data.validation);
      improved = !(measured.psnr <= (best?.value ?? Number.NEGATIVE_INFINITY));
      if (improved) best = { metric: 'psnr', value: measured.psnr, step };
      writer?.record({ ...measured, step, epoch, split: 'validation' });
    }
    if (isDue(step, config.compareEvery) || last) await compareState(learner, collective);
    // Metrics first: what a checkpoint has seen is in the log, so a run that resumes from it misses no record.
    if (improved || last || stopped || isDue(step, config.checkpointEvery))
      writer?.checkpoint(learner, { step, ...cursor, best }, improved);
    void report({ type: 'alive', step });
    // Lets signals, sockets and the heartbeat in between two steps.
    await new Promise((resolve) => setImmediate(resolve));
  }
  // Nobody leaves before the last checkpoint is in place.
  await collective.barrier('end');
  learner.dispose();
  return step >= steps ? 'done' : 'stopped';
}

type Best = CheckpointState['best'];

/** Loads the checkpoint that rank 0 finds newest and whole into every rank. */
async function resume(
  { runDir, collective }: RankOptions,
  learner: Learner,
): Promise<CheckpointState | undefined> {
  if (collective.rank === 0) removeHalfWritten(runDir);
  const found =
    collective.rank === 0 ? newestCheckpoint(runDir, (message) => console.error(message)) : undefined;
  const step = Float32Array.of(found ? 1 : 0, ...halves(found?.state.step ?? 0));
  await collective.broadcast([step], 0, 'checkpoint');
  if (step[0] === 0) return undefined;
  const checkpoint = found ?? readCheckpoint(checkpointDir(runDir, step[1]! * 2 ** 16 + step[2]!));
  const { state } = checkpoint;
  learner.load(checkpoint);
  console.error(`rank ${collective.rank} goes on from the checkpoint of step ${state.step}`);
  return state;
}

/** A float32 holds 24 bits; a step may have more. */
function halves(step: number): [number, number] {
  return [Math.floor(step / 2 ** 16), step % 2 ** 16];
}

function isDue(step: number, every: number): boolean {
  return every > 0 && step % every === 0;
}

function diverged(stored: StoredConfig, step: number, { loss, gradientNorm }: StepResult): RunFailed {
  const what = `loss ${loss}, gradient norm ${gradientNorm} at step ${step + 1}`;
  return new RunFailed(stored.id, 'diverged', `${what}. Try a smaller learningRate or clip`);
}

/** What rank 0 writes into the run's folder. */
class RunWriter {
  private readonly log: MetricsLog;
  private readonly events: TensorboardEvents;

  constructor(
    private readonly runDir: string,
    private readonly stored: StoredConfig,
    private readonly data: TrainingData,
  ) {
    this.log = new MetricsLog(metricsPath(runDir));
    this.events = new TensorboardEvents(runDir, this.log.earlier);
  }

  resolved(resolved: StoredConfig['resolved']): void {
    writeStoredConfig(this.runDir, { ...this.stored, resolved });
  }

  train(
    step: number,
    epoch: number,
    { stop: _, seconds, ...result }: StepResult,
    patches: number,
    wholeStep: number,
  ): void {
    const patchesPerSecond = patches / wholeStep;
    this.record({
      ...result,
      step,
      epoch,
      split: 'train',
      patchesPerSecond,
      volumesPerSecond: (patchesPerSecond * this.data.volumes) / this.data.train.count,
      seconds: { step: wholeStep, ...seconds },
    });
  }

  record({ step, epoch, split, ...figures }: Omit<MetricRecord, 'time'>): void {
    const record = { step, epoch, time: new Date().toISOString(), split, ...figures };
    if (this.log.append(record)) this.events.append(record);
  }

  checkpoint(learner: Learner, at: Cursor & { step: number; best: Best }, improved: boolean): void {
    const { model, optimiser, counters } = learner.state();
    const state: CheckpointState = {
      ...at,
      ...counters,
      config: settingsOf(this.stored),
      intensities: this.data.intensities,
      patchwise: version(),
    };
    const { keep } = this.stored;
    saveCheckpoint(this.runDir, { state, model, optimiser }, { best: improved, keep });
  }
}
