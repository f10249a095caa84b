import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Volume } from '../../src/index';

type Value = string | number | Uint8Array;

/** Writes a CT as a DICOM series, one uncompressed file a slice, as a scanner does. */
export async function writeSeries(folder: string, volume: Volume): Promise<void> {
  const { shape, spacing, data } = volume;
  const [columns, rows, slices] = shape;
  await mkdir(folder);
  for (let z = 0; z < slices; z++) {
    const plane = data.subarray(z * columns * rows, (z + 1) * columns * rows);
    const pixels = Int16Array.from(plane, Math.round);
    const uid = `1.2.826.0.1.3680043.8.498.1.${z + 1}`;
    const meta = encode([
      [0x0002, 0x0002, 'UI', '1.2.840.10008.5.1.4.1.1.2'],
      [0x0002, 0x0003, 'UI', uid],
      [0x0002, 0x0010, 'UI', '1.2.840.10008.1.2.1'], // explicit VR, little-endian
    ]);
    const body = encode([
      [0x0008, 0x0008, 'CS', 'ORIGINAL\\PRIMARY\\AXIAL'],
      [0x0008, 0x0016, 'UI', '1.2.840.10008.5.1.4.1.1.2'],
      [0x0008, 0x0018, 'UI', uid],
      [0x0008, 0x0020, 'DA', '20200101'],
      [0x0008, 0x0030, 'TM', '120000'],
      [0x0008, 0x0060, 'CS', 'CT'],
      [0x0008, 0x0070, 'LO', 'SIEMENS'],
      [0x0010, 0x0010, 'PN', 'Phantom'],
      [0x0010, 0x0020, 'LO', 'P1'],
      [0x0018, 0x0050, 'DS', `${spacing[2]}`],
      [0x0020, 0x000d, 'UI', '1.2.826.0.1.3680043.8.498.2'],
      [0x0020, 0x000e, 'UI', '1.2.826.0.1.3680043.8.498.3'],
      [0x0020, 0x0011, 'IS', '2'],
      [0x0020, 0x0012, 'IS', '1'],
      [0x0020, 0x0013, 'IS', `${z + 1}`],
      [0x0020, 0x0032, 'DS', `0\\0\\${z * spacing[2]}`],
      [0x0020, 0x0037, 'DS', '1\\0\\0\\0\\1\\0'],
      [0x0020, 0x0052, 'UI', '1.2.826.0.1.3680043.8.498.4'],
      [0x0028, 0x0002, 'US', 1],
      [0x0028, 0x0004, 'CS', 'MONOCHROME2'],
      [0x0028, 0x0010, 'US', rows],
      [0x0028, 0x0011, 'US', columns],
      [0x0028, 0x0030, 'DS', `${spacing[1]}\\${spacing[0]}`],
      [0x0028, 0x0100, 'US', 16],
      [0x0028, 0x0101, 'US', 16],
      [0x0028, 0x0102, 'US', 15],
      [0x0028, 0x0103, 'US', 1], // signed
      [0x0028, 0x1052, 'DS', '0'],
      [0x0028, 0x1053, 'DS', '1'],
      [0x7fe0, 0x0010, 'OW', new Uint8Array(pixels.buffer)],
    ]);
    const group = element(0x0002, 0x0000, 'UL', meta.length);
    const file = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), group, meta, body]);
    await writeFile(join(folder, `IM${String(z + 1).padStart(4, '0')}`), file);
  }
}

function encode(elements: readonly (readonly [number, number, string, Value])[]): Buffer {
  return Buffer.concat(elements.map((parts) => element(...parts)));
}

function element(group: number, number: number, kind: string, value: Value): Buffer {
  const content = contentOf(kind, value);
  const isLong = kind === 'OW';
  const head = Buffer.alloc(isLong ? 12 : 8);
  head.writeUInt16LE(group, 0);
  head.writeUInt16LE(number, 2);
  head.write(kind, 4, 'latin1');
  if (isLong) head.writeUInt32LE(content.length, 8);
  else head.writeUInt16LE(content.length, 6);
  return Buffer.concat([head, content]);
}

/** Text has an even length: unique ids end with a zero byte, other text with a space. */
function contentOf(kind: string, value: Value): Uint8Array {
  if (typeof value === 'string')
    return Buffer.from(value.length % 2 === 0 ? value : value + (kind === 'UI' ? '\0' : ' '), 'latin1');
  if (typeof value !== 'number') return value;
  const bytes = Buffer.alloc(kind === 'US' ? 2 : 4);
  if (kind === 'US') bytes.writeUInt16LE(value);
  else bytes.writeUInt32LE(value);
  return bytes;
}
