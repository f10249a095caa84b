import { basename } from 'node:path';
import type { RunResult, RunSummary, RunsSideBySide } from '../internal';
import { columns } from './terminal';

/** Runs as a list, a line each. */
export function listLines(runs: readonly RunSummary[]): string[] {
  return columns([
    ['run', 'state', 'step', 'preset', 'data', 'best validation', 'backend', 'updated'],
    ...runs.map((run) => [
      run.id,
      run.state,
      `${run.step}/${run.steps}`,
      run.preset ?? '-',
      dataText(run.data ?? []),
      run.best ? `${measureText(run.best.metric, run.best.value)} at ${run.best.step}` : '-',
      run.backend ?? '-',
      run.updated,
    ]),
  ]);
}

function dataText(data: readonly string[]): string {
  const [first] = data;
  if (first === undefined) return '-';
  return data.length === 1 ? basename(first) : `${data.length} volumes`;
}

/** A measure of a validation as a reader calls it. */
function measureText(metric: string, value: number): string {
  return metric === 'psnr' ? `PSNR ${value.toFixed(2)} dB` : `${metric} ${Number(value.toPrecision(4))}`;
}

const resultRows: readonly (readonly [string, (result: RunResult) => string | undefined])[] = [
  ['state', ({ state }) => state],
  ['step', ({ step, steps }) => `${step}/${steps}`],
  ['backend', ({ backend }) => backend],
  ['loss of the last step', ({ loss }) => loss?.toPrecision(4)],
  ['best validation PSNR, dB', ({ psnr }) => psnr?.toFixed(2)],
  ['its step', ({ bestStep }) => bestStep?.toString()],
  ['patches / s', ({ patchesPerSecond }) => patchesPerSecond?.toPrecision(4)],
];

/** What differs between runs and what came of them, within so many columns of a terminal as far as that is possible. */
export function compareLines({ differences, results }: RunsSideBySide, width: number): string[] {
  const names = [...differences.map(({ setting }) => setting), ...resultRows.map(([name]) => name)];
  const first = Math.max(...names.map(({ length }) => length));
  const room = Math.max(12, Math.floor((width - first) / results.length) - 2);
  return columns([
    [
      '',
      ...shortened(
        results.map(({ id }) => id),
        room,
      ),
    ],
    ...differences.map(({ setting, values }) => [
      setting,
      ...shortened(
        values.map((value) => JSON.stringify(value) ?? '-'),
        room,
      ),
    ]),
    ...resultRows.map(([name, of]) => [name, ...results.map((result) => of(result) ?? '-')]),
  ]);
}

/** Texts cut to their ends, which is where paths differ; longer where they would be the same otherwise. */
export function shortened(texts: readonly string[], room: number): string[] {
  const cut = (length: number) =>
    texts.map((text) => (text.length <= length ? text : `…${text.slice(1 - length)}`));
  const distinct = new Set(texts).size;
  const longest = Math.max(...texts.map(({ length }) => length));
  for (let length = room; length < longest; length++)
    if (new Set(cut(length)).size === distinct) return cut(length);
  return [...texts];
}
