import type { MimeBundle } from '../display-protocol';
import { comparisonFigure } from './comparison/comparison';
import { Figure } from './figure';
import { frameTable, isFrame } from './frame';
import { gridFigure, gridTable } from './grid';
import { runComparisonTables } from './run/comparison';
import { runFigure } from './run/run';
import {
  isComparison,
  isDataset,
  isGrid,
  isRunComparison,
  isStoredVolume,
  isVolume,
  type ShownRun,
  shownRuns,
} from './shown';
import { datasetTable, storedVolumeTable } from './stored';
import { figureToSvg } from './svg/svg';
import { Table } from './table';
import { volumeFigure } from './volume';

/** Our own figure type; JupyterLab draws it with the extension in `kernels/labextension`. */
export const FIGURE_MIME = 'application/vnd.patchwise.figure+json';
/** Plotly's type, which VS Code draws. */
export const PLOTLY_MIME = 'application/vnd.plotly.v1+json';

/**
 * The pictures of a value of ours (Volume, Dataset, Grid, Run, its live view, Comparison, Figure, Table); undefined for
 * everything else. A run comes as an empty figure that names the run: the front end asks the kernel for the rest.
 */
export function toBundle(value: unknown): MimeBundle | undefined {
  if (isFigure(value)) return figureBundle(value);
  if (isTable(value)) return tableBundle(value);
  const runs = shownRuns(value);
  if (runs) return figureBundle(runFigure([], undefined, { title: titleOf(runs) }), runs);
  if (isRunComparison(value)) return tableBundle(...runComparisonTables(value));
  if (isFrame(value)) return tableBundle(frameTable(value));
  if (isComparison(value)) return figureBundle(comparisonFigure(value));
  if (isVolume(value)) return figureBundle(volumeFigure(value));
  if (isStoredVolume(value)) return tableBundle(storedVolumeTable(value));
  if (isDataset(value)) return tableBundle(datasetTable(value));
  if (isGrid(value)) {
    const figure = gridFigure(value);
    return { ...figureBundle(figure), 'text/plain': `${figure.summary}\n${gridTable(value).toText()}` };
  }
  return undefined;
}

/**
 * A figure in every form a front end may know, best first; with `runs` the figure follows them wherever our
 * extension draws it.
 */
export function figureBundle(figure: Figure, runs: readonly ShownRun[] = []): MimeBundle {
  const plain = { data: figure.data, layout: figure.layout };
  // Not `responsive`: where the front end gives the figure no height of its own, one resize takes it away.
  const config = { displaylogo: false, showSendToCloud: false };
  return {
    [FIGURE_MIME]: { figure: plain, ...named(runs) },
    [PLOTLY_MIME]: { ...plain, config },
    'image/svg+xml': figureToSvg(figure),
    'text/plain': figure.summary,
  };
}

function tableBundle(...tables: readonly Table[]): MimeBundle {
  return {
    'text/html': tables.map((table) => table.toHtml()).join(''),
    'text/plain': tables.map((table) => table.toText()).join('\n\n'),
  };
}

/** What the front end is told of the runs: `run` for one, `runs` for several. */
function named(runs: readonly ShownRun[]): object {
  const [first, ...others] = runs.map(({ id, dir }) => ({ id, dir }));
  if (!first) return {};
  return others.length === 0 ? { run: first } : { runs: [first, ...others] };
}

/** What a figure of these runs is called. */
export function titleOf(runs: readonly ShownRun[]): string {
  return runs.map(({ id }) => id).join(' · ');
}

function isFigure(value: unknown): value is Figure {
  return value instanceof Figure || isNamed(value, 'Figure', 'data', 'layout', 'summary');
}

function isTable(value: unknown): value is Table {
  return value instanceof Table || isNamed(value, 'Table', 'columns', 'rows', 'toHtml', 'toText');
}

/** Known by name and shape where another copy of the package made it. */
function isNamed(value: unknown, name: string, ...keys: string[]): boolean {
  if (typeof value !== 'object' || value === null || value.constructor?.name !== name) return false;
  return keys.every((key) => key in value);
}
