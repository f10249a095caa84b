import { basename } from 'node:path';
import {
  measures,
  measureText,
  measureTitle,
  numberText,
  type RunResult,
  type RunSummary,
  type RunsSideBySide,
  summaryMeasures,
} from '../internal';
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

const resultRows: readonly (readonly [string, (result: RunResult) => string | undefined])[] = [
  ['state', ({ state }) => state],
  ['step', ({ step, steps }) => `${step}/${steps}`],
  ['backend', ({ backend }) => backend],
  ...summaryMeasures.map((name) => {
    const title = measureTitle(name);
    const isLast = measures[name].summary === 'train';
    const text = ({ [name]: value }: RunResult) =>
      value === undefined ? undefined : numberText(name, value);
    return [isLast ? `${title} of the last step` : `best validation ${title}`, text] as const;
  }),
  ['its step', ({ bestStep }) => bestStep?.toString()],
  [
    measureTitle('patchesPerSecond'),
    ({ patchesPerSecond: pace }) => (pace === undefined ? undefined : numberText('patchesPerSecond', pace)),
  ],
];

/** How runs differ and what they reached, fitted to the width of the terminal if possible. */
export function compareLines({ differences, results }: RunsSideBySide, width: number): string[] {
  const names = [...differences.map(({ setting }) => setting), ...resultRows.map(([name]) => name)];
  const first = Math.max(...names.map(({ length }) => length));
  const room = Math.max(12, Math.floor((width - first) / results.length) - 2);
  const ids = results.map(({ id }) => id);
  const texts = (values: readonly unknown[]) => values.map((value) => JSON.stringify(value) ?? '-');
  return columns([
    ['', ...shortened(ids, room)],
    ...differences.map(({ setting, values }) => [setting, ...shortened(texts(values), room)]),
    ...resultRows.map(([name, of]) => [name, ...results.map((result) => of(result) ?? '-')]),
  ]);
}

/** Texts cut to their ends, where paths differ; kept longer if the ends are equal. */
export function shortened(texts: readonly string[], room: number): string[] {
  const cut = (length: number) =>
    texts.map((text) => (text.length <= length ? text : `…${text.slice(1 - length)}`));
  const distinct = new Set(texts).size;
  const longest = Math.max(...texts.map(({ length }) => length));
  for (let length = room; length < longest; length++)
    if (new Set(cut(length)).size === distinct) return cut(length);
  return [...texts];
}
