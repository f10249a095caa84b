import { storeActivationsIn } from '../../compute/contract/registry';
import { useBackend } from '../../compute/use-backend';
import { InvalidConfig, RunFailed } from '../../errors';
import { fitsSsim, TAPS } from '../../fidelity/ssim';
import { fewLatents } from '../../model/supply';
import type { Collective } from '../collective/collective';
import { loadData, type TrainingData } from '../data/loader';
import { type Cursor, Sampler } from '../data/sampler';
import { compareState } from '../learn/compare-state';
import { Learner } from '../learn/learner';
import { ResourceMeter } from '../learn/resources';
import { trainStep } from '../learn/step';
import { sample, validate } from '../learn/validate';
import { hasStalled, type Ranked, rankedWith } from '../record/best';
import type { CheckpointState } from '../record/checkpoint';
import { readStoredConfig, type StoredConfig, settingsOf } from '../record/run-folder';
import { checkedConfig } from '../settings/check';
import type { RunConfig } from '../settings/config';
import { changesSince, listed } from './changes';
import { explainOutOfMemory } from './out-of-memory';
import type { Reporter } from './reporter';
import { checkpointOfAll, whatChanged, whatWasPrepared } from './resume';
import { RunWriter } from './run-writer';

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
  const config = checkedConfig(settingsOf(stored));
  const ranks = collective.worldSize;
  const backend = await useBackend(config.backend);
  storeActivationsIn(config.precision);
  const data = await loadData(config, { signal: stop });
  const sampler = new Sampler({ ...config, patches: data.train.count, ranks });

  checkBestMetric(config, data);

  const { checkpoint: found, notes: passedOver } = await checkpointOfAll(runDir, collective);
  const resumed = found?.state;
  const changes = resumed ? changesSince(resumed, config, data) : [];
  const reshaped = resumed && whatChanged(resumed, config, ranks);
  // Somebody has resumed the run at this checkpoint or a later one, which was damaged.
  const byHand = resumed !== undefined && resumed.step <= (stored.resumed?.from ?? -1);
  if (changes.length > 0 && !(byHand && stored.resumed?.acceptChanges))
    throw changed(stored, resumed!.step, changes);
  let [step, cursor]: [number, Cursor] = [resumed?.step ?? 0, resumed ?? { epoch: 0, position: 0 }];
  // Values of another measure cannot be ranked with these.
  const comparable = resumed?.config.bestMetric === config.bestMetric;
  let ranking: readonly Ranked[] = comparable
    ? (resumed?.ranking ?? (resumed?.best ? [resumed.best] : []))
    : [];
  const steps = config.steps ?? step + sampler.stepsUntil(cursor, config.epochs!);
  const peers = { gather: (values: Float32Array) => collective.allGather(values, 'discriminators') };
  const alone = ranks === 1 && config.collective !== 'c10d';
  const learner = new Learner(config, steps, peers, alone);
  if (found) learner.load(found);
  const note = notes(
    backend.warning,
    ...passedOver,
    resumed ? reshaped : whatWasPrepared(config, ranks),
    changes.length > 0 ? `from step ${step} on: ${listed(changes)}` : undefined,
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
    step,
    changes.length === 0 && reshaped === undefined,
  );
  await report({ type: 'ready', steps, step, backend: backend.name, reason: backend.reason, note });

  const withinMemory = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error) => {
      throw explainOutOfMemory(error, stored.id, config, backend);
    });
  const meter = new ResourceMeter();
  const patienceFrom = resumed?.stalled && byHand ? step : resumed?.patienceFrom;
  let [stopped, stalled] = [false, resumed?.stalled === true && !byHand];
  let kept = resumed?.step;
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
      // All ranks come here at the same step. Nobody knows whether the weights before it were any good.
      await collective.barrier('end');
      throw diverged(stored, `at step ${step + 1} ${result.diverged.what}`, kept);
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
      stalled = hasStalled(ranking, step, config, patienceFrom);
    }
    if (isDue(step, config.compareEvery) || last) await compareState(learner, collective);
    if (isRanked || last || stopped || stalled || result.save || isDue(step, config.checkpointEvery)) {
      const unsound = learner.unsound();
      if (unsound) {
        await collective.barrier('end');
        throw diverged(stored, `after step ${step} ${unsound}`, kept);
      }
      const best = bestOf(ranking, config);
      await writer?.checkpoint(learner, {
        step,
        ...cursor,
        best,
        ranking,
        ...(stalled && { stalled }),
        ...(patienceFrom !== undefined && { patienceFrom }),
      });
      kept = step;
    }
    void report({ type: 'alive', step });
    // Lets signals, sockets and the heartbeat in between two steps.
    await new Promise((resolve) => setImmediate(resolve));
  }
  // Nobody leaves before the last checkpoint is in place.
  await collective.barrier('end');
  learner.dispose();
  if (stalled && step < steps) await report({ type: 'note', note: whyStalled(step, steps, ranking, config) });
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

/** @param kept step of the newest checkpoint */
function diverged({ id }: StoredConfig, what: string, kept: number | undefined): RunFailed {
  const cure = kept
    ? `The newest checkpoint is of step ${kept}; from there the run comes to the same end, unless you make learningRate ` +
      `or clip smaller in its config.json and resume it with --accept-changes. Remove newer folders in its checkpoints ` +
      'to go back further'
    : 'There is no checkpoint. Start again with a smaller learningRate or clip';
  return new RunFailed(id, 'diverged', `${what}. ${cure}`);
}

function changed({ id }: StoredConfig, step: number, changes: readonly string[]): RunFailed {
  return new RunFailed(
    id,
    'cannot go on',
    `other than in the checkpoint of step ${step}: ${listed(changes)}. Put back what was there, or start a new run. ` +
      `If the change is meant: patchwise runs resume ${id} --accept-changes`,
  );
}

function whyStalled(step: number, steps: number, [best]: readonly Ranked[], config: RunConfig): string {
  const { patience, bestMetric } = config;
  const than = best ? ` than ${Number(best.value.toPrecision(5))} at step ${best.step}` : '';
  return `done at step ${step} of ${steps}: ${patience} validation(s) in a row have no better ${bestMetric}${than} (patience)`;
}

/** @throws InvalidConfig where no validation patch has room for what checkpoints are ranked by */
function checkBestMetric(
  { bestMetric, validationPatches, seed }: RunConfig,
  { validation }: TrainingData,
): void {
  if (bestMetric !== 'ssim' || validation.count === 0) return;
  const isThere = sample(validation.count, validationPatches, seed).some((index) => {
    const { from, to } = validation.own(index);
    return fitsSsim([to[0] - from[0], to[1] - from[1], to[2] - from[2]]);
  });
  if (isThere) return;
  const expected = `a measure that the validation has: no patch of it has ${TAPS} voxels of its own along each axis`;
  throw new InvalidConfig([{ key: 'bestMetric', expected, received: bestMetric }]);
}
