import { RunFailed } from '../../errors';
import { compareState } from '../learn/compare-state';
import { ResourceMeter } from '../learn/resources';
import { trainStep } from '../learn/step';
import { validate } from '../learn/validate';
import type { Ranking } from '../record/best';
import type { RunConfig } from '../settings/config';
import { explainOutOfMemory } from './out-of-memory';
import { prepareTraining, type RankOptions } from './prepare-training';

/** Trains one rank of a run to its end, from the newest whole checkpoint if there is one. */
export async function trainRank(options: RankOptions): Promise<'done' | 'stopped'> {
  const { collective, stop, asked, report, progress } = options;
  const ready = await prepareTraining(options);
  const { config, id, backend, data, feed, learner, ranking, writer, steps } = ready;
  const training = { learner, collective, config, patches: data.train };
  const meter = new ResourceMeter();
  const withinMemory = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error) => {
      throw explainOutOfMemory(error, id, config, backend);
    });
  let { step } = ready;
  let newestCheckpoint = ready.resumed?.step;
  // All ranks find out at the same step.
  const endDiverged = async (what: string) => {
    await collective.barrier('end');
    return diverged(id, what, newestCheckpoint);
  };

  for (let stopped = false; step < steps && !stopped && !ranking.stalled; ) {
    // Data.
    const started = performance.now();
    const share = feed.next();

    // Step.
    const requests = { stop: stop.aborted, save: asked.save, resources: () => meter.look() };
    asked.save = false;
    const result = await withinMemory(trainStep(training, share, step, requests));
    // No checkpoint here: the weights before this step may already be bad.
    if (result.diverged) throw await endDiverged(`at step ${step + 1} ${result.diverged.what}`);
    progress.step = ++step;
    stopped = result.stop;
    const last = step === steps;

    // Log.
    const seconds = (performance.now() - started) / 1000;
    if (isDue(step, config.logEvery) || last || stopped) await writer?.train(step, share, result, seconds);

    // Validate.
    let isRanked = false;
    if (data.validation.count > 0 && (isDue(step, config.validateEvery) || last)) {
      const onShown = writer && ((patch: Float32Array, y: Float32Array) => writer.slices(step, patch, y));
      const model = { ...training, model: learner.model };
      const measured = await withinMemory(
        learner.withUsedWeights(() => validate(model, data.validation, onShown)),
      );
      isRanked = ranking.add(step, measured[config.bestMetric]);
      await writer?.record({ ...measured, step, epoch: share.epoch, split: 'validation' });
    }

    // Checkpoint.
    if (isDue(step, config.compareEvery) || last) await compareState(learner, collective);
    const isWanted = isRanked || last || stopped || ranking.stalled || result.save;
    if (isWanted || isDue(step, config.checkpointEvery)) {
      const unsound = learner.unsound();
      if (unsound) throw await endDiverged(`after step ${step} ${unsound}`);
      await writer?.checkpoint(learner, { step, ...feed.cursor, ...ranking.state });
      newestCheckpoint = step;
    }

    void report({ type: 'alive', step });
    // Lets signals, sockets and the heartbeat in between two steps.
    await new Promise((resolve) => setImmediate(resolve));
  }

  // No rank leaves before the last checkpoint is in place.
  await collective.barrier('end');
  learner.dispose();
  if (step >= steps) return 'done';
  if (!ranking.stalled) return 'stopped';
  await report({ type: 'note', note: whyStalled(step, steps, ranking, config) });
  return 'done';
}

function isDue(step: number, every: number): boolean {
  return every > 0 && step % every === 0;
}

/** @param newest step of the newest checkpoint */
function diverged(id: string, what: string, newest: number | undefined): RunFailed {
  const cure = newest
    ? `The newest checkpoint is of step ${newest}; from there the run comes to the same end, unless you make learningRate ` +
      `or clip smaller in its config.json and resume it with --accept-changes. Remove newer folders in its checkpoints ` +
      'to go back further'
    : 'There is no checkpoint. Start again with a smaller learningRate or clip';
  return new RunFailed(id, 'diverged', `${what}. ${cure}`);
}

function whyStalled(step: number, steps: number, { best }: Ranking, config: RunConfig): string {
  const { patience, bestMetric } = config;
  const than = best ? ` than ${Number(best.value.toPrecision(5))} at step ${best.step}` : '';
  return `done at step ${step} of ${steps}: ${patience} validation(s) in a row brought no better ${bestMetric}${than} (patience)`;
}
