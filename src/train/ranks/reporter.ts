import { CollectiveFailed, isPatchwiseError } from '../../errors';
import { identify } from '../../process-identity';
import { StatusFile, whereWeAre } from '../record/status';
import type { ProbeResult } from './probe';

/** What a rank reports to the supervisor or to the status of the run. */
export type RankMessage =
  | { readonly type: 'alive'; readonly step: number }
  | {
      readonly type: 'ready';
      readonly steps: number;
      readonly step: number;
      readonly backend: string;
      readonly reason: string;
      /** GPUs of this host that the run does not use, and why. */
      readonly idle?: string | undefined;
      /** What has changed since the run was interrupted, and what in its config is doubtful. */
      readonly note?: string | undefined;
    }
  /** More that users should know of the run. */
  | { readonly type: 'note'; readonly note: string }
  /** A problem that users should see to; undefined once it is over. */
  | { readonly type: 'warning'; readonly warning: string | undefined }
  | { readonly type: 'measured'; readonly result: ProbeResult }
  | { readonly type: 'ended'; readonly outcome: 'done' | 'stopped'; readonly step?: number }
  | {
      readonly type: 'failed';
      readonly message: string;
      /** Another start would fail in the same way. */
      readonly permanent: boolean;
      /** Another rank is the cause. */
      readonly secondary: boolean;
      /** Only the port is the cause. */
      readonly portTaken: boolean;
    };

/** Delivers a message of a rank; settles when it is delivered. */
export type Reporter = (message: RankMessage) => Promise<void>;

/** To the supervisor that started this rank; under torchrun, where there is none, rank 0 keeps `status.json` itself. */
export function openReporter(runDir: string, rank: number): Reporter {
  if (process.send) return toSupervisor;
  if (rank !== 0) return async () => {};
  const status = new StatusFile(runDir);
  const ranks = [{ rank, ...identify(process.pid)! }];
  status.update({ state: 'starting', ...whereWeAre(), pids: { ranks }, error: undefined });
  return async (message) => {
    applyToStatus(status, rank, message);
    if (message.type === 'failed') status.update({ state: 'failed', error: message.message });
    if (message.type === 'ended') status.update({ state: message.outcome });
    if (message.type === 'failed' || message.type === 'ended') await status.flushEnd();
    else if (message.type !== 'alive') status.flush();
  };
}

/** What a rank's message changes in the status of its run, but for how it ends. */
export function applyToStatus(status: StatusFile, rank: number, message: RankMessage): void {
  status.heartbeat(rank);
  if (message.type === 'ready' && rank === 0) {
    const { steps, step, backend, reason, idle, note } = message;
    status.update({ state: 'running', steps, step, backend, reason, idle, ...(note && { note }) });
    status.flush(); // else a quick run has steps in its log while it is still said to start
  }
  if (message.type === 'note' && rank === 0) {
    const { note } = status.current;
    status.update({ note: note ? `${note}; ${message.note}` : message.note });
  }
  if (message.type === 'warning' && rank === 0) status.update({ warning: message.warning });
  const step = message.type === 'alive' || message.type === 'ended' ? message.step : undefined;
  if (rank === 0 && step !== undefined) status.update({ step });
}

function toSupervisor(message: RankMessage): Promise<void> {
  return new Promise((resolve) => {
    // The supervisor is gone: the parent watch ends this rank.
    if (!process.connected) return resolve();
    process.send!(message, () => resolve());
  });
}

/** Errors of the config, the data or the machine, which come again. */
const permanentTags = [
  'InvalidArgument',
  'InvalidConfig',
  'UnreadableFile',
  'UnavailableBackend',
  'RunFailed',
];

export function failureOf(error: unknown, rank: number): RankMessage {
  const message = error instanceof Error ? error.message : String(error);
  const secondary = error instanceof CollectiveFailed;
  return {
    type: 'failed',
    message: message.startsWith('rank ') ? message : `rank ${rank}: ${message}`,
    permanent: isPatchwiseError(error) && permanentTags.includes(error.tag),
    secondary,
    portTaken: secondary && (error.cause as { code?: string } | undefined)?.code === 'EADDRINUSE',
  };
}
