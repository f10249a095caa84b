import { type Cell, Table } from './table';

const MOST_ROWS = 24;

/** A data frame of danfojs, known by its shape: the figures load nothing of it. */
export interface ShownFrame {
  readonly columns: readonly string[];
  readonly values: readonly (readonly Cell[])[];
  readonly shape: readonly number[];
}

export function isFrame(value: unknown): value is ShownFrame {
  if (typeof value !== 'object' || value === null || value.constructor?.name !== 'DataFrame') return false;
  return ['columns', 'values', 'shape', 'index'].every((key) => key in value);
}

/** The first rows of a data frame, and how many there are; what is missing is left empty. */
export function frameTable({ columns, values, shape }: ShownFrame): Table {
  const rows = values.slice(0, MOST_ROWS).map((row) => row.map((cell) => (Number.isNaN(cell) ? null : cell)));
  const caption = shape[0]! > MOST_ROWS ? `the first ${MOST_ROWS} of ${shape[0]} rows` : undefined;
  return new Table({ columns, rows, ...(caption && { caption }) });
}
