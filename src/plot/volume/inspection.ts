import type { InspectedVolume, Inspection } from '../../volume/prepare/inspect';
import { type Cell, Table } from '../base/table';

/** What the table needs; another copy of the package may have made it. */
export type ShownInspection = Pick<Inspection, 'volumes' | 'leftOut' | 'oddities' | 'patientRule'>;

/** More volumes than this are summarised. */
const mostRows = 20;
/** Values of a property that a summary lists, and files that an oddity lists. */
const mostValues = 5;
const mostFiles = 4;

/** An inspection as tables: the volumes or a summary of them, what is odd, and what is left out. */
export function inspectionTables(inspection: ShownInspection): Table[] {
  const { volumes, oddities, leftOut } = inspection;
  return [
    ...(volumes.length === 0
      ? []
      : [volumes.length > mostRows ? summaryTable(inspection) : volumesTable(inspection)]),
    ...listTable(
      'what is odd',
      oddities.map(({ note, files }): Cell[] => [note, files.length, named(files)]),
      ['files', 'which'],
    ),
    ...listTable(
      'left out',
      leftOut.map(({ file, reason }): Cell[] => [file, reason]),
      ['why'],
    ),
  ];
}

/** The same for people who see the left-out files elsewhere. */
export function inspectionText(inspection: ShownInspection): string {
  return inspectionTables({ ...inspection, leftOut: [] })
    .map((table) => table.toText())
    .join('\n\n');
}

function captionOf({ volumes, leftOut, patientRule }: ShownInspection): string {
  const patients = new Set(volumes.map(({ patient }) => patient)).size;
  const missing = leftOut.length > 0 ? `, ${leftOut.length} left out` : '';
  const rule = patientRule === '' ? '' : `; patients by ${patientRule}`;
  return `${volumes.length} volumes of ${patients} patients${missing}${rule}`;
}

/** The properties of a volume as texts. */
const properties: Readonly<Record<string, (volume: InspectedVolume) => string>> = {
  format: ({ format }) => format,
  voxels: ({ shape, volumes }) => shape.join(' x ') + (volumes > 1 ? ` (of ${volumes} volumes)` : ''),
  mm: ({ spacing }) => spacing?.map((step) => Number(step.toFixed(3))).join(' x ') ?? '-',
  axes: ({ orientation }) => orientation ?? '-',
  type: ({ dtype }) => dtype ?? '-',
  values: ({ voxels }) => (voxels ? voxels.range.map((end) => Number(end.toPrecision(6))).join(' to ') : '-'),
};

/** The properties that any of the volumes has. */
function known(volumes: readonly InspectedVolume[]): [string, (volume: InspectedVolume) => string][] {
  return Object.entries(properties).filter(([, textOf]) => volumes.some((volume) => textOf(volume) !== '-'));
}

function volumesTable(inspection: ShownInspection): Table {
  const { volumes } = inspection;
  const shown = known(volumes);
  return new Table({
    caption: captionOf(inspection),
    columns: ['file', 'patient', ...shown.map(([name]) => name)],
    rows: volumes.map((volume) => [
      volume.file,
      volume.patient,
      ...shown.map(([, textOf]) => textOf(volume)),
    ]),
  });
}

/** The most frequent values of each property. */
function summaryTable(inspection: ShownInspection): Table {
  const { volumes } = inspection;
  const rows = known(volumes).flatMap(([property, textOf]) => {
    const counts = new Map<string, { count: number; example: string }>();
    for (const volume of volumes) {
      const before = counts.get(textOf(volume)) ?? { count: 0, example: volume.file };
      counts.set(textOf(volume), { ...before, count: before.count + 1 });
    }
    const sorted = [...counts].sort(([, a], [, b]) => b.count - a.count);
    const shown = sorted.slice(0, sorted.length > mostValues + 1 ? mostValues : sorted.length);
    const rest = sorted.slice(shown.length);
    const others = rest.reduce((sum, [, { count }]) => sum + count, 0);
    const lines = shown.map(([value, { count, example }]): Cell[] => [property, value, count, example]);
    if (rest.length > 0) lines.push([property, `${rest.length} other values`, others, rest[0]![1].example]);
    return lines;
  });
  return new Table({
    caption: captionOf(inspection),
    columns: ['', 'value', 'volumes', 'for example'],
    rows,
  });
}

function listTable(title: string, rows: readonly (readonly Cell[])[], columns: readonly string[]): Table[] {
  return rows.length > 0 ? [new Table({ columns: [title, ...columns], rows })] : [];
}

function named(files: readonly string[]): string {
  const more = files.length > mostFiles ? `, and ${files.length - mostFiles} more` : '';
  return files.slice(0, mostFiles).join(', ') + more;
}
