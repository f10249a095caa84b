import { duration } from '../../duration';
import { paceOf } from '../../train/record/course';
import type { MetricRecord } from '../../train/record/metrics-log';
import type { RunStatus } from '../../train/record/status';
import { measureOf, measures, rankMeasures, summaryMeasures, valueText } from '../../train/settings/measures';
import { finiteRange } from '../../volume/intensity';

const marks = '▁▂▃▄▅▆▇█';

/** A run as lines for a terminal: how far it is, how well it learns, how fast, and what each rank does. */
export function runLines(
  id: string,
  status: RunStatus,
  records: readonly MetricRecord[],
  width = 100,
): string[] {
  const train = records.filter(({ split }) => split === 'train');
  const last = train.at(-1);
  const pace = paceOf(records, status);
  const fraction = status.steps > 0 ? status.step / status.steps : 0;
  const bar = Math.max(10, Math.min(40, width - 60));
  const lines = [
    `${id}  ${status.state}${status.error ? `: ${status.error}` : ''}`,
    `${'█'.repeat(Math.round(bar * fraction)).padEnd(bar, '░')} step ${status.step}/${status.steps}` +
      (last ? `, epoch ${last.epoch}` : '') +
      (pace?.left === undefined ? '' : `, ${duration(pace.left)} left`),
  ];
  lines.push(...runNotices(status));
  for (const name of summaryMeasures) {
    const { label, summary } = measures[name];
    const found = records.filter((record) => record.split === summary && record[name] !== undefined);
    const latest = found.at(-1);
    if (!latest) continue;
    const values = found.map((record) => record[name]!);
    const at = summary === 'validation' ? ` at step ${latest.step}` : '';
    lines.push(`${label.padEnd(11)} ${sparkline(values, width - 30)} ${valueText(name, latest[name]!)}${at}`);
  }
  if (pace)
    lines.push(
      `pace        ${valueText('seconds', pace.step)} a step, ${valueText('patchesPerSecond', pace.patchesPerSecond)}, ${valueText('volumesPerSecond', pace.volumesPerSecond)}`,
    );
  if (last?.seconds) lines.push(`a step is   ${shares(last.seconds)}`);
  if (last) lines.push(...rankLines(status, last));
  return lines.map((line) => line.slice(0, width));
}

/** What a reader of a run should know beside its state, one line each. */
export function runNotices({ idle, warning, note, restarts, restartReason }: RunStatus): string[] {
  const again = restarts > 0 && `started again ${restarts} time(s): ${restartReason ?? ''}`;
  return [idle, warning, note, again].filter(Boolean).map((notice) => `! ${notice}`);
}

/** Percent of a step by what it was spent on. */
function shares({ step, ...parts }: NonNullable<MetricRecord['seconds']>): string {
  const known = Object.values(parts).reduce((sum, part) => sum + part, 0);
  return Object.entries({ ...parts, other: Math.max(0, step - known) })
    .map(([name, part]) => `${name} ${Math.round((100 * part) / step)} %`)
    .join(', ');
}

function rankLines(status: RunStatus, record: MetricRecord): string[] {
  const ranks = Math.max(0, ...rankMeasures.map((name) => record[name]?.length ?? 0));
  return Array.from({ length: ranks }, (_, rank) => {
    const beat = status.heartbeats[rank];
    const values = rankMeasures.flatMap((name) => {
      const value = record[name]?.[rank];
      const { device } = measureOf(name);
      return value === undefined ? [] : [(device ? `${device} ` : '') + valueText(name, value)];
    });
    const silence = beat ? (Date.parse(status.updated) - Date.parse(beat)) / 1000 : 0;
    const seen = beat ? [`seen ${duration(Math.max(0, silence))} ago`] : [];
    return [`rank ${rank}`.padEnd(11), ...values, ...seen].join('  ');
  });
}

/** A curve of at most `width` marks, the mean of the values that fall on each. */
export function sparkline(values: readonly number[], width: number): string {
  const count = Math.max(1, Math.min(values.length, width));
  const start = (i: number): number => Math.floor((i * values.length) / count);
  const means = Array.from({ length: count }, (_, i) => {
    const part = values.slice(start(i), start(i + 1)).filter(Number.isFinite);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
  const [low, high] = finiteRange(means) ?? [0, 0];
  const drawn = means.map((value) => {
    if (!Number.isFinite(value)) return ' ';
    const place = high > low ? (value - low) / (high - low) : 0;
    return marks[Math.min(marks.length - 1, Math.floor(place * marks.length))];
  });
  return drawn.join('');
}
