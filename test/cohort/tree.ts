/** Makes a folder with everything that a researcher's share may hold, and says what each entry is. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { reorient } from '../../src/volume/orient';
import { phantom } from '../../src/volume/phantom/phantom';
import { Volume } from '../../src/volume/volume';
import { writeVolume } from '../../src/volume/write';
import { folderA, folderB } from '../volume/dicom-fixtures';

/**
 * What every command does with an entry of the tree: it uses it as a volume, leaves it out with a reason, or skips it
 * because it is no volume (hidden files, text).
 */
export type Expected = 'used' | 'skipped' | { readonly because: RegExp };

/** Entries by their paths within the tree. `make` writes the entry. */
interface Entry {
  readonly expected: Expected;
  /** What a look before training says of it. */
  readonly odd?: RegExp;
  readonly make: (path: string) => Promise<void> | void;
}

const shape = [16, 16, 16] as const;
const ct = (seed: number) => phantom({ shape, seed });
const write = (volume: () => Volume) => (path: string) => writeVolume(path, volume(), { dtype: 'int16' });
const bytes = (content: string | Uint8Array) => (path: string) => writeFileSync(path, content);
const link = (to: string) => (path: string) => symlinkSync(to, path);
const because = (reason: RegExp) => ({ because: reason });
/** A volume whose values are changed one by one. */
const changed = (seed: number, change: (value: number, i: number) => number) =>
  write(() => ct(seed).with(ct(seed).data.map(change)));

const metaImage = (data: string) =>
  [
    'ObjectType = Image',
    'NDims = 3',
    'DimSize = 16 16 16',
    'ElementSpacing = 2 2 2',
    'ElementType = MET_SHORT',
    'BinaryData = True',
    `ElementDataFile = ${data}\n`,
  ].join('\n');
const nrrdHeader = [
  'NRRD0004',
  'type: short',
  'dimension: 3',
  'sizes: 16 16 16',
  'space: left-posterior-superior',
  'space directions: (2,0,0) (0,2,0) (0,0,2)',
  'space origin: (0,0,0)',
  'endian: little',
  'encoding: raw',
].join('\n');
const shorts = (seed: number) => Buffer.from(Int16Array.from(ct(seed).data, Math.round).buffer);

/** A volume file as NIfTI, packed by gzip `times` times and cut to a part. */
function packed(seed: number, times: number, part = 1) {
  return async (path: string): Promise<void> => {
    const plain = `${path}.plain.nii`;
    await writeVolume(plain, ct(seed), { dtype: 'int16' });
    let content: Uint8Array = readFileSync(plain);
    rmSync(plain);
    for (let i = 0; i < times; i++) content = gzipSync(content);
    writeFileSync(path, content.subarray(0, Math.floor(part * content.length)));
  };
}

/** A 4D file: two volumes behind one another. */
async function fourD(path: string): Promise<void> {
  await writeVolume(path, ct(7), { dtype: 'int16' });
  const one = readFileSync(path);
  one.writeInt16LE(4, 40);
  one.writeInt16LE(2, 48);
  writeFileSync(path, Buffer.concat([one, one.subarray(352)]));
}

/** The header of a pair without its image. */
async function half(path: string): Promise<void> {
  await writeVolume(path, ct(40), { dtype: 'int16' });
  rmSync(path.replace('.hdr', '.img'));
}

/** Files and links. Names end in the number of a patient. */
export const entries: Readonly<Record<string, Entry>> = {
  // Volumes of every format, in folders, behind links, in capitals; two scans of one patient.
  'site/deep/er/p001_a.nii.gz': { expected: 'used', make: write(() => ct(1)) },
  'site/deep/er/p001_b.nii.gz': { expected: 'used', make: write(() => ct(21)) },
  'P002.NII.GZ': { expected: 'used', make: write(() => ct(2)) },
  'p003.hdr': { expected: 'used', make: write(() => ct(3)) }, // writes p003.img too
  'p004.mhd': { expected: 'used', make: bytes(metaImage('p004.raw')) },
  'p004.raw': { expected: 'skipped', make: bytes(shorts(4)) },
  'p005.mha': {
    expected: 'used',
    make: (path) => writeFileSync(path, Buffer.concat([Buffer.from(metaImage('LOCAL')), shorts(5)])),
  },
  'p006.nrrd': {
    expected: 'used',
    make: (path) => writeFileSync(path, Buffer.concat([Buffer.from(`${nrrdHeader}\n\n`), shorts(6)])),
  },
  'p008.nhdr': { expected: 'used', make: bytes(`${nrrdHeader}\ndata file: p008.raw\n`) },
  'p008.raw': { expected: 'skipped', make: bytes(shorts(8)) },
  'link/p009.nii': { expected: 'used', make: link('../../elsewhere/p009.nii') },
  linked: { expected: 'skipped', make: link('../elsewhere/folder') }, // its p010.nii is used
  'linked/p010.nii': { expected: 'used', make: () => {} },
  'link/loop': { expected: 'skipped', make: link('..') },
  // Odd, but volumes.
  'odd/p011_scaled-twice.nii': {
    expected: 'used',
    odd: /scaled twice/,
    make: changed(11, (value) => value - 1024),
  },
  'odd/p012_detector.nii': {
    expected: 'used',
    odd: /as a scanner stores them/,
    make: changed(12, (value) => value + 1024),
  },
  'odd/p013_padding.nii': {
    expected: 'used',
    odd: /padding far below air/,
    make: changed(13, (value, i) => (i % 16 < 3 ? -3024 : value)),
  },
  'odd/p014_ras.nii': {
    expected: 'used',
    odd: /axes run RAS, but LPS/,
    make: write(() => new Volume(reorient(ct(14), { from: [0, 1, 2], flip: [true, true, false] }))),
  },
  'odd/p015_thin.nii': {
    expected: 'used',
    odd: /fewer than 16 voxels/,
    make: write(
      () => new Volume({ shape: [16, 16, 3], spacing: [22, 22, 5], data: ct(15).data.slice(0, 768) }),
    ),
  },
  'odd/p018 بيمار\u202e\x1b[31m.nii': { expected: 'used', make: write(() => ct(18)) },
  'odd/p016_copy.nii.gz': { expected: 'used', odd: /the same voxels/, make: write(() => ct(1)) },
  'odd/p017_nan.nii': {
    expected: 'used',
    make: (path) =>
      writeVolume(path, ct(17).with(ct(17).data.map((value, i) => (i === 5 ? Number.NaN : value)))),
  },
  // No volumes.
  'bad/p030_4d.nii': { expected: because(/index.*16 x 16 x 16 x 2/), make: fourD },
  'bad/p031_cut.nii.gz': {
    expected: because(/ends after|cut short|unexpected end/i),
    make: packed(31, 1, 0.5),
  },
  'bad/p032.nii.zst': {
    expected: because(/zstd -d/),
    make: bytes(Buffer.from('\x28\xb5\x2f\xfd packed', 'latin1')),
  },
  'bad/p033.nii.bz2': { expected: because(/bunzip2/), make: bytes('BZh91AY&SY') },
  'bad/p034.nii.xz': { expected: because(/unxz/), make: bytes(Buffer.from('\xfd7zXZ\0\0', 'latin1')) },
  'bad/p035_twice.nii.gz': { expected: because(/gzip within gzip/), make: packed(35, 2) },
  'bad/p036_page.nii.gz': {
    expected: because(/web page/),
    make: bytes('<!DOCTYPE html><title>Sign in</title>'),
  },
  'bad/p037_lfs.nii': {
    expected: because(/git lfs pull/),
    make: bytes('version https://git-lfs.github.com/spec/v1\noid sha256:00\n'),
  },
  'bad/p038_empty.nii.gz': { expected: because(/empty/), make: bytes('') },
  'bad/p039_gone.nii': {
    expected: because(/a link to nowhere\.nii, where no file is/),
    make: link('nowhere.nii'),
  },
  'bad/gone': { expected: because(/a link to nowhere, where no file is/), make: link('nowhere') },
  'bad/p040_half.hdr': { expected: because(/its voxels in .*p040_half\.img/), make: half },
  'bad/p041_half.img': {
    expected: because(/an image without its header \(\.hdr\)$/),
    make: bytes(new Uint8Array(512)),
  },
  'bad/p042.mhd': { expected: because(/p042\.raw/), make: bytes(metaImage('p042.raw')) },
  'raw/p043.raw': {
    expected: because(/voxels without a header; give the \.mhd or \.nhdr file/),
    make: bytes(shorts(43)),
  },
  'bad/p044_pipe.nii': {
    expected: because(/no regular file/),
    make: (path) => void execFileSync('mkfifo', [path]),
  },
  'bad/p045_dicom.nii': {
    expected: because(/DICOM/),
    make: (path) => cpSync(join(folderA, 'ST000000/SE000001/IM0000'), path),
  },
  'bad/p046.nii.gz.part': {
    expected: because(/a download or copy that has not ended$/),
    make: packed(46, 1, 0.5),
  },
  'bad/p047\nleft out p048.nii': {
    expected: because(/web page/),
    make: bytes('<!DOCTYPE html><title>Sign in</title>'),
  },
  // Litter of desktops, and what stands beside volumes.
  'site/deep/er/._p001_a.nii.gz': { expected: 'skipped', make: bytes('\0\x05\x16\x07\0\x02\0\0Mac OS X') },
  'site/.DS_Store': { expected: 'skipped', make: bytes('\0\0\0\x01Bud1') },
  '.hidden/p050.nii': { expected: 'skipped', make: write(() => ct(50)) },
  'notes.txt': { expected: 'skipped', make: bytes('of somebody') },
  'p003.json': { expected: 'skipped', make: bytes('{}') },
};

/** The DICOM series of the tree, by patient, number and slices. */
export const series: readonly {
  readonly patient: 'A' | 'B';
  readonly number: number;
  readonly slices: number;
  readonly expected: Expected;
}[] = [
  { patient: 'A', number: 1, slices: 1, expected: because(/^a localiser$/) },
  { patient: 'A', number: 2, slices: 6, expected: 'used' },
  { patient: 'A', number: 2, slices: 5, expected: 'used' },
  { patient: 'A', number: 3, slices: 8, expected: 'used' },
  { patient: 'A', number: 99, slices: 1, expected: because(/^a screen capture$/) },
  { patient: 'A', number: 501, slices: 0, expected: because(/^no image \(SR\)$/) },
  { patient: 'B', number: 21, slices: 8, expected: 'used' },
];

/** Makes the tree below `root`/scans; some links lead out of it, to `root`/elsewhere. Returns its path. */
export async function makeTree(root: string): Promise<string> {
  const scans = join(root, 'scans');
  for (const folder of ['elsewhere/folder', 'scans']) mkdirSync(join(root, folder), { recursive: true });
  await write(() => ct(9))(join(root, 'elsewhere/p009.nii'));
  await write(() => ct(10))(join(root, 'elsewhere/folder/p010.nii'));
  for (const [name, { make }] of Object.entries(entries)) {
    const path = join(scans, name);
    if (name === 'linked/p010.nii') continue;
    mkdirSync(dirname(path), { recursive: true });
    await make(path);
  }
  cpSync(folderA, join(scans, 'dicom/one'), { recursive: true });
  cpSync(join(folderB, 'odd/21'), join(scans, 'dicom/two/DICOM/0001'), { recursive: true });
  return scans;
}
