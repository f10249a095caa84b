import type { ShownDataset, ShownStoredVolume } from '../base/shown';
import { Table } from '../base/table';

/** What a dataset knows about a volume without reading its voxels. */
export function storedVolumeTable(volume: ShownStoredVolume): Table {
  return volumesTable([volume], `${volume.name}, a volume of a dataset (\`await pw.view(volume)\` shows it)`);
}

/** A dataset's volumes, and the files that were left out. */
export function datasetTable({ dir, volumes, leftOut }: ShownDataset): Table {
  const missing = leftOut.map(({ file, reason }) => `; left out ${file}: ${reason}`).join('');
  return volumesTable(volumes, `${dir}: ${volumes.length} volumes${missing}`);
}

function volumesTable(volumes: readonly ShownStoredVolume[], caption: string): Table {
  const columns = 'name, patient, split, voxels, mm, stored as, values, window, baseline, source'.split(', ');
  const rows = volumes.map((volume) => {
    const { name, patient, split, shape, spacing, type, range, intensity, baseline, source } = volume;
    const window = `${intensity.name} ${intensity.low} to ${intensity.high}`;
    const smaller = baseline ? baseline.shape.join(' x ') : '';
    const mm = spacing.map((step) => Number(step.toFixed(3))).join(' x ');
    return [name, patient, split, shape.join(' x '), mm, type, range.join(' to '), window, smaller, source];
  });
  return new Table({ columns, rows, caption });
}
