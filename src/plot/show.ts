import type { MimeBundle } from '../display-protocol';
import type { RunComparison } from '../evaluate/compare-runs';
import type { Grid } from '../patch/grid';
import { VOLUMES_MIME } from '../volumes-bundle';
import type { ShownComparison, ShownDataset, ShownRun, ShownStoredVolume, ShownVolume } from './base/shown';
import { type Cell, Table } from './base/table';
import { drawComparison } from './comparison/volumes';
import { Figure } from './figure/figure';
import { runComparisonTables } from './run/comparison';
import { runFigure } from './run/figure';
import { stillSvg } from './svg/figure';
import { datasetTable, storedVolumeTable } from './volume/dataset';
import { gridFigure, gridTable } from './volume/grid';
import { inspectionTables, type ShownInspection } from './volume/inspection';
import { drawView, VolumeView, viewOf } from './volume/view';

/** Our own figure type; JupyterLab draws it with the extension in `kernels/labextension`. */
export const FIGURE_MIME = 'application/vnd.patchwise.figure+json';
/** Plotly's type, which VS Code draws. */
export const PLOTLY_MIME = 'application/vnd.plotly.v1+json';

/** A kind of value that can be shown. Values are known by their shape: another copy of the package may have made them. */
interface Kind<T> {
  readonly is: (value: object) => boolean;
  readonly draw: (value: T) => MimeBundle;
}

/** No value is of two kinds, so their order has no meaning. */
export const kinds: Readonly<Record<string, Kind<never>>> = {
  figure: kind<Figure>(
    (value) => value instanceof Figure || named(value, 'Figure', 'data', 'layout', 'summary'),
    figureBundle,
  ),
  table: kind<Table>(
    (value) => value instanceof Table || named(value, 'Table', 'columns', 'rows', 'toHtml', 'toText'),
    tableBundle,
  ),
  frame: kind<Frame>(
    (value) => named(value, 'DataFrame', 'columns', 'values', 'shape', 'index'),
    (frame) => tableBundle(frameTable(frame)),
  ),
  runs: kind<object>(
    (value) => shownRuns(value) !== undefined,
    (value) => runsBundle(shownRuns(value)!),
  ),
  runComparison: kind<RunComparison>(
    (value) => has(value, 'runs', 'rows', 'means', 'differences', 'notes'),
    (comparison) => tableBundle(...runComparisonTables(comparison)),
  ),
  comparison: kind<ShownComparison>(
    (value) => has(value, 'reference', 'candidates', 'metrics', 'seamProfiles') && isVolume(value.reference),
    (comparison) => volumesBundle(drawComparison(comparison)),
  ),
  view: kind<VolumeView>(
    (value) => value instanceof VolumeView || named(value, 'VolumeView', 'surveyed', 'options'),
    (view) => volumesBundle(drawView(view)),
  ),
  volume: kind<ShownVolume>(isVolume, (volume) => volumesBundle(drawView(viewOf(volume)))),
  storedVolume: kind<ShownStoredVolume>(
    (value) =>
      has(value, 'name', 'patient', 'split', 'shape', 'spacing', 'type', 'range', 'intensity', 'source'),
    (volume) => tableBundle(storedVolumeTable(volume)),
  ),
  dataset: kind<ShownDataset>(
    (value) => has(value, 'dir', 'volumes', 'leftOut') && Array.isArray(value.volumes),
    (dataset) => tableBundle(datasetTable(dataset)),
  ),
  inspection: kind<ShownInspection>(
    (value) => has(value, 'volumes', 'leftOut', 'oddities', 'patientRule'),
    (inspection) => tableBundle(...inspectionTables(inspection)),
  ),
  grid: kind<Grid>(
    (value) => has(value, 'volume', 'patch', 'stride', 'counts', 'starts', 'patches', 'overlap'),
    (grid) => {
      const figure = gridFigure(grid);
      return { ...figureBundle(figure), 'text/plain': `${figure.summary}\n${gridTable(grid).toText()}` };
    },
  ),
};

/** The pictures or tables of a value of ours, and of a data frame; undefined for everything else. */
export function toBundle(value: unknown): MimeBundle | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.values(kinds)
    .find(({ is }) => is(value))
    ?.draw(value as never);
}

/**
 * A figure in every form a front end may know, best first. With `runs` it follows them wherever our extension draws it.
 */
export function figureBundle(figure: Figure, runs: readonly ShownRun[] = []): MimeBundle {
  const plain = { data: figure.data, layout: figure.layout };
  // Not `responsive`: if the front end gives the figure no height, a resize makes it vanish.
  const config = { displaylogo: false, showSendToCloud: false };
  return {
    [FIGURE_MIME]: { figure: plain, ...followed(runs) },
    [PLOTLY_MIME]: { ...plain, config },
    'image/svg+xml': stillSvg(figure),
    'text/plain': figure.summary,
  };
}

/** Volumes for our viewer, and their slices for front ends without it, and for browsers without WebGL. */
function volumesBundle({ bundle, slices, still }: ReturnType<typeof drawView>): MimeBundle {
  const { [FIGURE_MIME]: _, ...others } = figureBundle(slices);
  return { [VOLUMES_MIME]: bundle, ...others, 'image/svg+xml': stillSvg(still) };
}

/** What a figure of these runs is called. */
export function titleOf(runs: readonly ShownRun[]): string {
  return runs.map(({ id }) => id).join(' · ');
}

/** The runs that a run itself or a live view shows; undefined for every other value. */
export function shownRuns(value: unknown): readonly ShownRun[] | undefined {
  if (isRun(value)) return [value];
  const isLiveView = has(value, 'runs') && Array.isArray(value.runs) && value.runs.length > 0;
  return isLiveView && (value.runs as unknown[]).every(isRun) ? (value.runs as ShownRun[]) : undefined;
}

/** An empty figure that names the runs: the front end asks the kernel for the rest. */
function runsBundle(runs: readonly ShownRun[]): MimeBundle {
  return figureBundle(runFigure([], undefined, { title: titleOf(runs) }), runs);
}

function tableBundle(...tables: readonly Table[]): MimeBundle {
  return {
    'text/html': tables.map((table) => table.toHtml()).join(''),
    'text/plain': tables.map((table) => table.toText()).join('\n\n'),
  };
}

/** What the front end is told of the runs: `run` for one, `runs` for several. */
function followed(runs: readonly ShownRun[]): object {
  const named = runs.map(({ id, dir }) => ({ id, dir }));
  if (named.length === 0) return {};
  return named.length === 1 ? { run: named[0] } : { runs: named };
}

const MOST_ROWS = 24;

/** A data frame of danfojs, of which the figures load nothing. */
interface Frame {
  readonly columns: readonly string[];
  readonly values: readonly (readonly Cell[])[];
  readonly shape: readonly number[];
}

/** The first rows of a data frame, and how many there are. Missing values are left empty. */
function frameTable({ columns, values, shape }: Frame): Table {
  const rows = values.slice(0, MOST_ROWS).map((row) => row.map((cell) => (Number.isNaN(cell) ? null : cell)));
  const caption = shape[0]! > MOST_ROWS ? `the first ${MOST_ROWS} of ${shape[0]} rows` : undefined;
  return new Table({ columns, rows, ...(caption && { caption }) });
}

function kind<T>(is: (value: object) => boolean, draw: (value: T) => MimeBundle): Kind<never> {
  return { is, draw };
}

function isRun(value: unknown): value is ShownRun {
  return has(value, 'id', 'dir', 'metrics', 'status') && typeof value.metrics === 'function';
}

function isVolume(value: unknown): value is ShownVolume {
  return has(value, 'shape', 'data', 'spacing', 'affine') && value.data instanceof Float32Array;
}

function named(value: object, name: string, ...keys: string[]): boolean {
  return value.constructor?.name === name && has(value, ...keys);
}

function has<K extends string>(value: unknown, ...keys: K[]): value is Record<K, unknown> {
  return typeof value === 'object' && value !== null && keys.every((key) => key in value);
}
