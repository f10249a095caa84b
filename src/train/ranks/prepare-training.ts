import { setPrecision } from '../../compute/contract/registry';
import { type BackendInfo, useBackend } from '../../compute/use-backend';
import { InvalidConfig, RunFailed, UnavailableBackend } from '../../errors';
import { fitsSsim, TAPS } from '../../fidelity/ssim';
import { fewLatents } from '../../model/supply';
import type { Collective } from '../collective/collective';
import { loadData, type TrainingData } from '../data/loader';
import { Feed, Sampler } from '../data/sampler';
import { Learner } from '../learn/learner';
import { sample } from '../learn/validate';
import { Ranking } from '../record/best';
import { readStoredConfig, type StoredConfig, settingsOf } from '../record/run-folder';
import { checkedConfig } from '../settings/check';
import type { RunConfig } from '../settings/config';
import type { Reporter } from './reporter';
import { changesSince, checkpointOfAll, printOf, whatChanged, whatWasPrepared } from './resume';
import { RunWriter } from './run-writer';

export interface RankOptions {
  readonly runDir: string;
  readonly collective: Collective;
  readonly stop: AbortSignal;
  /** A signal sets `save` to ask for a checkpoint; the rank clears it. */
  readonly asked: { save: boolean };
  readonly report: Reporter;
  /** The rank's progress, for its heartbeat. */
  readonly progress: { step: number; training: boolean };
}

/**
 * Makes all that a rank trains with, from the newest whole checkpoint if there is one, and reports that it is ready. Only
 * rank 0 has a writer.
 * @throws RunFailed if data or settings differ from the checkpoint's and the user has not accepted that
 */
export async function prepareTraining({ runDir, collective, stop, report, progress }: RankOptions) {
  const read = readStoredConfig(runDir);
  const config = checkedConfig(settingsOf(read));
  // Checkpoints keep the values as read: three numbers for a size that the user wrote as one.
  const stored = { ...read, ...config };
  const { rank, worldSize: ranks } = collective;
  const backend = await useBackend(config.backend);
  await compareDevices(collective, backend);
  setPrecision(config.precision);
  const data = await loadData(config, { signal: stop });
  const sampler = new Sampler({ ...config, patches: data.train.count, ranks });
  checkBestMetric(config, data);

  const { checkpoint, notes: passedOver } = await checkpointOfAll(runDir, collective);
  const resumed = checkpoint?.state;
  const changes = resumed ? changesSince(resumed, config, data) : [];
  const reshaped = resumed && whatChanged(resumed, config, ranks);
  // Whether the user resumed the run at this checkpoint, or at a later one that is damaged.
  const byHand = resumed !== undefined && resumed.step <= (stored.resumed?.from ?? -1);
  if (changes.length > 0 && !(byHand && stored.resumed?.acceptChanges))
    throw changed(stored, resumed!.step, changes);
  const step = resumed?.step ?? 0;
  const from = { epoch: resumed?.epoch ?? 0, position: resumed?.position ?? 0 };
  const feed = new Feed(sampler, data.train, { rank, prefetch: config.prefetch, from });
  const ranking = new Ranking(config, resumed, byHand);
  const steps = config.steps ?? step + sampler.stepsUntil(from, config.epochs!);
  const peers = { gather: (values: Float32Array) => collective.allGather(values, 'discriminators') };
  const learner = new Learner(config, steps, peers);
  if (checkpoint) learner.load(checkpoint);

  const notes = [
    ...passedOver,
    resumed ? reshaped : whatWasPrepared(config, ranks),
    changes.length > 0 ? `from step ${step} on: ${listed(changes)}` : undefined,
    fewLatents(config.model, config.patch, config.batch * config.accumulate * ranks),
  ];
  const note = notes.filter((each) => each !== undefined).join('; ') || undefined;
  for (const said of [backend.warning, note]) if (said) console.error(said);
  progress.step = step;
  progress.training = true;
  const warn = (warning: string | undefined) => void report({ type: 'warning', warning });
  const writer = rank === 0 ? new RunWriter({ runDir, stored, data, ranks, stop, warn }) : undefined;
  const { stepsPerEpoch } = sampler;
  const { patches } = printOf(data);
  const resolved = { backend, intensities: data.intensities, steps, stepsPerEpoch, patches };
  await writer?.open(resolved, step, changes.length === 0 && reshaped === undefined);
  const { name, reason, warning: idle } = backend;
  await report({ type: 'ready', steps, step, backend: name, reason, idle, note });
  return { id: stored.id, config, backend, data, feed, learner, ranking, writer, step, steps, resumed };
}

/** @throws UnavailableBackend if some ranks have a GPU and others do not: all would wait for the CPU at every step */
async function compareDevices(collective: Collective, { name, device, warning }: BackendInfo): Promise<void> {
  const onCpu = (await collective.allGather(Float32Array.of(device === 'CPU' ? 1 : 0), 'devices')).flatMap(
    ([answer], rank) => (answer === 1 ? [rank] : []),
  );
  if (onCpu.length === 0 || onCpu.length === collective.worldSize) return;
  const why = onCpu.includes(collective.rank) && warning !== undefined ? `: ${warning}` : '';
  throw new UnavailableBackend(
    name,
    `rank ${onCpu.join(', ')} of ${collective.worldSize} compute on the CPU, the others on GPUs${why}`,
    'Use as many ranks as GPUs, or PATCHWISE_DEVICE=cpu',
  );
}

function changed({ id }: StoredConfig, step: number, changes: readonly string[]): RunFailed {
  return new RunFailed(
    id,
    'cannot go on',
    `changed since the checkpoint of step ${step}: ${listed(changes)}. Undo the change, or start a new run. ` +
      `If the change is intended: patchwise runs resume ${id} --accept-changes`,
  );
}

/** @throws InvalidConfig if no validation patch is large enough for the measure that ranks checkpoints */
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

/** `a, b, c and 7 more`. */
function listed(changes: readonly string[]): string {
  const rest = changes.length - 5;
  return changes.slice(0, 5).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
