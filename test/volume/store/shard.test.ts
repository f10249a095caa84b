import { closeSync, fstatSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { withChecksum } from '../../../src/volume/crc32c';
import { phantom } from '../../../src/volume/phantom/phantom';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { openDataset } from '../../../src/volume/store/dataset';
import { writeVolume } from '../../../src/volume/write';
import { temporaryFolder } from '../folder';

const folder = temporaryFolder();

/** Moves the second of two chunks of a shard to a place, with a hole between them. */
function moveSecondChunk(path: string, to: number): void {
  const bytes = readFileSync(path);
  const index = bytes.subarray(bytes.length - 36, -4);
  const [offset, length] = [Number(index.readBigUint64LE(16)), Number(index.readBigUint64LE(24))];
  const chunk = Buffer.from(bytes.subarray(offset, offset + length));
  index.writeBigUint64LE(BigInt(to), 16);
  const end = withChecksum(index);
  writeFileSync(path, bytes.subarray(0, offset));
  const file = openSync(path, 'r+');
  writeSync(file, chunk, 0, length, to);
  writeSync(file, end, 0, end.length, to + length);
  expect(fstatSync(file).size).toBe(to + length + end.length);
  closeSync(file);
}

it('a shard may be larger than 4 GiB', { timeout: 60_000 }, async () => {
  const [path, output] = [join(folder(), 'ct.nii'), join(folder(), 'out')];
  const volume = phantom({ shape: [20, 16, 50], seed: 3 });
  await writeVolume(path, volume, { dtype: 'int16' });
  await prepareDataset(path, output);
  const shard = join(output, 'ct/image/c/0/0/0');
  moveSecondChunk(shard, 5 * 2 ** 30 + 12345);
  const dataset = openDataset(output, { threads: 1 });
  expect((await dataset.volumes[0]!.read()).data).toEqual(volume.data);
  expect(await dataset.volumes[0]!.readPatch([3, 4, 49], [2, 2, 1])).toHaveLength(4);
  await dataset.close();
  expect((await prepareDataset(path, output, { verify: true })).kept).toEqual(['ct']);
});
