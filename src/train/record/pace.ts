import type { MetricRecord } from './metrics-log';
import { hasEnded, type RunStatus } from './status';

/** How fast a run goes, and when it will be done. */
export interface Pace {
  /** Seconds, of a step alone. */
  readonly step: number;
  readonly patchesPerSecond: number;
  readonly volumesPerSecond: number;
  /** Seconds to the end, with validations and checkpoints as they have come so far; undefined once the run has ended. */
  readonly left?: number;
}

/** The pace is that of the latest training records: it changes. */
export const paceWindow = 100;

/** The pace of a run by its latest records; undefined before the second. */
export function paceOf(records: readonly MetricRecord[], status: RunStatus): Pace | undefined {
  const latest = records.filter(({ split }) => split === 'train').slice(-paceWindow);
  const [first, last] = [latest[0], latest.at(-1)];
  if (!first || !last || first === last) return undefined;
  const mean = (of: (record: MetricRecord) => number | undefined) =>
    latest.reduce((sum, record) => sum + (of(record) ?? 0), 0) / latest.length;
  // If the clock was set back between two records, the time of the step stands in.
  const wall =
    latest.slice(1).reduce((sum, record, i) => {
      const before = latest[i]!;
      const passed = (Date.parse(record.time) - Date.parse(before.time)) / 1000;
      return sum + (passed >= 0 ? passed : (record.seconds?.step ?? 0) * (record.step - before.step));
    }, 0) /
    (last.step - first.step);
  return {
    step: mean(({ seconds }) => seconds?.step),
    patchesPerSecond: mean((record) => record.patchesPerSecond),
    volumesPerSecond: mean((record) => record.volumesPerSecond),
    ...(!hasEnded(status) && status.steps > 0 && { left: wall * Math.max(0, status.steps - last.step) }),
  };
}
