import { useBackend } from '../compute/backend';
import { storeActivationsIn } from '../compute/precision';
import { RunFailed } from '../errors';
import { fewLatents } from '../model/supply';
import { hasStalled, type Ranked, rankedWith } from './best';
import type { CheckpointState } from './checkpoint';
import type { Collective } from './collective/collective';
import { compareState } from './compare-state';
import type { RunConfig } from './config';
import { Learner } from './learner';
import { loadData } from './loader';
import { explainOutOfMemory } from './out-of-memory';
import type { Reporter } from './reporter';
import { ResourceMeter } from './resources';
import { checkpointOfAll, whatChanged, whatWasPrepared } from './resume';
import { readStoredConfig, type StoredConfig, settingsOf } from './run-folder';
import { RunWriter } from './run-writer';
import { type Cursor, Sampler } from './sampler';
import { trainStep } from './step';
import { validate } from './validate';

export interface RankOptions {
  readonly runDir: string;
  readonly collective: Collective;
  readonly stop: AbortSignal;
  /** True once when somebody has asked for a checkpoint. */
  readonly takeSaveRequest: () => boolean;
  readonly report: Reporter;
  /** Written to as the run goes on, for the heartbeat. */
  readonly progress: { step: number; training: boolean };
}

/** Trains one rank of a run to its end, from the newest whole checkpoint if there is one. */
export async function trainRank(options: RankOptions): Promise<'done' | 'stopped'> {
  const { runDir, collective, stop, report, progress } = options;
  const stored = readStoredConfig(runDir);
  const config = settingsOf(stored);
  const ranks = collective.worldSize;
  const backend = await useBackend(config.backend);
  storeActivationsIn(config.precision);
  const data = await loadData(config, { signal: stop });
  const sampler = new Sampler({ ...config, patches: data.train.count, ranks });

  const found = await checkpointOfAll(runDir, collective);
  const resumed = found?.state;
  let [step, cursor]: [number, Cursor] = [resumed?.step ?? 0, resumed ?? { epoch: 0, position: 0 }];
  let ranking: readonly Ranked[] = resumed?.ranking ?? (resumed?.best ? [resumed.best] : []);
  const steps = config.steps ?? step + sampler.stepsUntil(cursor, config.epochs!);
  const peers = { gather: (values: Float32Array) => collective.allGather(values, 'discriminators') };
  const alone = ranks === 1 && config.collective !== 'c10d';
  const learner = new Learner(config, steps, peers, alone);
  if (found) learner.load(found);
  const note = notes(
    backend.warning,
    resumed ? whatChanged(resumed, config, ranks) : whatWasPrepared(config, ranks),
    fewLatents(config.model, config.patch, config.batch * config.accumulate * ranks),
  );
  if (note) console.error(note);
  const training = { learner, collective, config, patches: data.train };
  progress.step = step;
  progress.training = true;
  const warn = (warning: string | undefined) => void report({ type: 'warning', warning });
  const writer =
    collective.rank === 0 ? new RunWriter({ runDir, stored, data, ranks, stop, warn }) : undefined;
  const patches = { train: data.train.count, validation: data.validation.count };
  const { intensities } = data;
  await writer?.open(
    { backend, intensities, steps, stepsPerEpoch: sampler.stepsPerEpoch, patches },
    resumed?.step ?? 0,
  );
  await report({ type: 'ready', steps, step, backend: backend.name, reason: backend.reason, note });

  const withinMemory = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error) => {
      throw explainOutOfMemory(error, stored.id, config, backend);
    });
  const meter = new ResourceMeter();
  let [stopped, stalled] = [false, false];
  while (step < steps && !stopped && !stalled) {
    const started = performance.now();
    const { epoch } = cursor;
    const share = sampler.share(cursor, collective.rank);
    data.train.prefetch(share.patches);
    // No further: what is read waits in memory.
    let ahead = share.next;
    for (let i = 0; i < config.prefetch; i++) {
      const later = sampler.share(ahead, collective.rank);
      data.train.prefetch(later.patches);
      ahead = later.next;
    }
    const wishes = { stop: stop.aborted, save: options.takeSaveRequest(), resources: () => meter.look() };
    const result = await withinMemory(trainStep(training, share, step, wishes));
    if (result.diverged) {
      // All ranks come here at the same step. What was not applied has spoilt nothing: that state is kept.
      const { what, applied } = result.diverged;
      if (!applied && step > 0)
        await writer?.checkpoint(learner, { step, ...cursor, best: bestOf(ranking, config), ranking });
      await collective.barrier('end');
      throw diverged(stored, step, what, applied ? ranking[0]?.step : step);
    }
    step++;
    cursor = share.next;
    progress.step = step;
    stopped = result.stop;
    const seconds = (performance.now() - started) / 1000;
    const last = step === steps;
    if (step % config.logEvery === 0 || last || stopped)
      await writer?.train(step, epoch, result, share.total, seconds);

    let isRanked = false;
    if (data.validation.count > 0 && (isDue(step, config.validateEvery) || last)) {
      const measured = await withinMemory(
        learner.withUsedWeights(() =>
          validate(
            { ...training, model: learner.model },
            data.validation,
            writer && ((patch, decoded) => writer.slices(step, patch, decoded)),
          ),
        ),
      );
      ranking = rankedWith(ranking, { step, value: measured[config.bestMetric] ?? Number.NaN }, config);
      isRanked = ranking.some((ranked) => ranked.step === step);
      await writer?.record({ ...measured, step, epoch, split: 'validation' });
      // All ranks have the same figures and come to the same.
      stalled = hasStalled(ranking, step, config);
    }
    if (isDue(step, config.compareEvery) || last) await compareState(learner, collective);
    if (isRanked || last || stopped || stalled || result.save || isDue(step, config.checkpointEvery)) {
      await writer?.checkpoint(learner, { step, ...cursor, best: bestOf(ranking, config), ranking });
    }
    void report({ type: 'alive', step });
    // Lets signals, sockets and the heartbeat in between two steps.
    await new Promise((resolve) => setImmediate(resolve));
  }
  // Nobody leaves before the last checkpoint is in place.
  await collective.barrier('end');
  learner.dispose();
  return step >= steps || stalled ? 'done' : 'stopped';
}

function notes(...given: readonly (string | undefined)[]): string | undefined {
  return given.filter((note) => note !== undefined).join('; ') || undefined;
}

function isDue(step: number, every: number): boolean {
  return every > 0 && step % every === 0;
}

function bestOf(ranking: readonly Ranked[], { bestMetric }: RunConfig): CheckpointState['best'] {
  return ranking[0] && { metric: bestMetric, ...ranking[0] };
}

function diverged(stored: StoredConfig, step: number, what: string, good: number | undefined): RunFailed {
  const kept = good ? ` The checkpoint of step ${good} is good.` : '';
  return new RunFailed(
    stored.id,
    'diverged',
    `at step ${step + 1} ${what}.${kept} Try a smaller learningRate or clip`,
  );
}
