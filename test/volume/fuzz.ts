import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';
import { isPatchwiseError } from '../../src/errors';
import { Random } from '../../src/random';
import { readVolume } from '../../src/volume/read';
import type { Volume } from '../../src/volume/volume';
import { fixture } from './folder';
import { referenceRead } from './reference';

export interface FuzzResult {
  readonly cases: number;
  /** Reads that ended with an error of ours. */
  refused: number;
  /** Reads that gave the reference's voxels. */
  right: number;
  /** Reads that nibabel could make as well, and gave the same. */
  asNibabel: number;
  /** What went wrong, in words, with the case's number: the same seed and number make the same file again. */
  readonly wrong: string[];
}

const bases = [
  'int16-1-little.nii',
  'float32-1-big.nii.gz',
  'uint8-2-little.nii.gz',
  'int64-2-big.nii',
  'float64-1-little.nii',
  'dim-4d-big.nii.gz',
  'dim-7d.nii',
  'extension.nii',
  'forms-qform.nii',
  'freesurfer.nii',
  'nibabel-standard.nii.gz',
].map((name) => readFileSync(fixture(name)));

const hangAfter = 20_000; // ms; a case takes about one
const mostMemory = 2 ** 30;

/**
 * Reads `count` damaged NIfTI files. Every one must end, soon and in bounded memory, with an error of ours or with
 * the voxels that an independent reader finds in it, and nibabel's, where a Python with nibabel is given.
 */
export async function fuzz(
  count: number,
  seed: number,
  folder: string,
  python?: string,
): Promise<FuzzResult> {
  const result: FuzzResult = { cases: count, refused: 0, right: 0, asNibabel: 0, wrong: [] };
  const read: { n: number; path: string; index: number; volume: Volume }[] = [];
  for (let n = 0; n < count; n++) {
    const file = damaged(new Random(seed, 'fuzz', n));
    const path = join(folder, `${n}.nii`);
    await writeFile(path, file);
    const index = n % 2;
    const outcome = await readOrFail(path, index);
    if (process.memoryUsage.rss() > mostMemory) result.wrong.push(`${n}: more than 1 GiB of memory`);
    if (typeof outcome === 'string') result.wrong.push(`${n}: ${outcome}`);
    else if (outcome === undefined) result.refused++;
    else if (isSame(outcome, referenceRead(file, outcome.header!.series.length > 0 ? index : 0))) {
      result.right++;
      if (python) read.push({ n, path, index, volume: outcome });
    } else result.wrong.push(`${n}: other voxels than the reference`);
  }
  if (python) await compareWithNibabel(python, read, result);
  return result;
}

/** The volume, undefined for an error of ours, or what went wrong in words. */
async function readOrFail(path: string, index: number): Promise<Volume | undefined | string> {
  const control = new AbortController();
  const late = setTimeout(hangAfter, 'still reading after 20 s', { signal: control.signal }).catch(
    () => undefined,
  );
  const reading = readVolume(path, { index })
    .catch((error: unknown) => {
      // A file that has come to hold one volume is read as such.
      if (isPatchwiseError(error, 'InvalidArgument') && index > 0) return readVolume(path, { index: 0 });
      throw error;
    })
    .catch((error: unknown) => (isPatchwiseError(error) ? undefined : `an error not ours: ${error}`));
  const outcome = await Promise.race([reading, late]);
  control.abort();
  return outcome;
}

function isSame(volume: Volume, reference: ReturnType<typeof referenceRead>): boolean {
  if (!reference) return false;
  const shape = volume.shape.every((size, axis) => size === reference.shape[axis]);
  return (
    shape &&
    volume.data.every((value, n) => Object.is(value, reference.values[n]) || value === reference.values[n])
  );
}

const oddNumbers = [0, 1, -1, 2, 7, 8, 127, 255, 348, 352, 540, 544, 32767, -32768, 2 ** 31 - 1, -(2 ** 31)];
const oddFloats = [
  0,
  -0,
  1,
  -1,
  Number.NaN,
  Infinity,
  -Infinity,
  1e-40,
  3e38,
  -1e30,
  352.5,
  351,
  368,
  2 ** 33,
];

function damaged(random: Random): Uint8Array {
  const base = bases[random.below(bases.length)]!;
  const packed = base[0] === 0x1f;
  // Half of the gzipped ones are damaged inside and packed again, half as they are.
  const inside = packed && random.next() < 0.5;
  let bytes: Buffer = Buffer.from(inside ? gunzipSync(base) : base);
  const damages = 1 + random.below(3);
  for (let n = 0; n < damages; n++) bytes = damageOnce(bytes, random);
  return inside ? gzipSync(bytes) : bytes;
}

function damageOnce(bytes: Buffer, random: Random): Buffer {
  const at = random.below(Math.max(1, Math.min(bytes.length, 560) - 8));
  switch (random.below(8)) {
    case 0:
      return bytes.subarray(0, random.below(bytes.length + 1));
    case 1:
      return Buffer.concat([
        bytes.subarray(0, at),
        bytes.subarray(Math.min(bytes.length, at + random.below(40))),
      ]);
    case 2:
      return Buffer.concat([bytes, Buffer.alloc(random.below(600), random.below(256))]);
    default:
      if (bytes.length >= 16) overwrite(bytes, at, random);
      return bytes;
  }
}

function overwrite(bytes: Buffer, at: number, random: Random): void {
  const whole = oddNumbers[random.below(oddNumbers.length)]!;
  const real = oddFloats[random.below(oddFloats.length)]!;
  const place = Math.min(at, bytes.length - 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const little = random.next() < 0.8;
  const write = [
    () => view.setUint8(place, random.below(256)),
    () => view.setInt16(place & ~1, whole, little),
    () => view.setInt16(40 + 2 * random.below(8), whole, little),
    () => view.setInt32(place & ~3, whole, little),
    () => view.setFloat32(place & ~3, real, little),
    () => view.setFloat32(76 + 4 * random.below(12), real, little),
    () => view.setBigInt64(place & ~7, BigInt(whole) * 65537n, little),
  ];
  try {
    write[random.below(write.length)]!();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // a place past the end of a shortened file
  }
}

/** Reads in Python what was read here, and counts what nibabel reads too; it refuses some that the standard allows. */
async function compareWithNibabel(
  python: string,
  read: readonly { n: number; path: string; index: number; volume: Volume }[],
  result: FuzzResult,
): Promise<void> {
  const script = `
import json, sys, warnings, logging, nibabel, numpy, gzip
warnings.simplefilter('ignore'); logging.disable(logging.CRITICAL)
numpy.seterr(all='ignore')
for line in sys.stdin:
    path, index = json.loads(line)
    try:
        raw = open(path, 'rb').read()
        if raw[:2] == b'\\x1f\\x8b': raw = gzip.decompress(raw)
        kind = nibabel.Nifti2Image if 540 in (int.from_bytes(raw[:4], o) for o in ('little', 'big')) else nibabel.Nifti1Image
        image = kind.from_bytes(raw)
        # An unset offset means the first place after the header; nibabel reads the header itself as voxels.
        if int(image.dataobj.offset) == 0: raise ValueError
        values = image.get_fdata()
        values = values.reshape((tuple(values.shape) + (1, 1, 1))[:3] + (-1,), order='F')
        values = values[..., index if values.shape[3] > 1 else 0].astype(numpy.float32)
        print(json.dumps([list(values.shape), values.ravel(order='F').tobytes().hex()]), flush=True)
    except Exception as error:
        print(json.dumps(None), flush=True)
`;
  const child = promisify(execFile)(python, ['-c', script], { maxBuffer: 2 ** 30 });
  for (const { path, index } of read) child.child.stdin!.write(`${JSON.stringify([path, index])}\n`);
  child.child.stdin!.end();
  const lines = (await child).stdout.trim().split('\n');
  for (const [at, { n, volume }] of read.entries()) {
    const theirs = JSON.parse(lines[at] ?? 'null') as [number[], string] | null;
    if (!theirs) continue;
    const bytes = new Uint8Array(Buffer.from(theirs[1], 'hex'));
    if (isSame(volume, { shape: theirs[0], values: new Float32Array(bytes.buffer) })) result.asNibabel++;
    else result.wrong.push(`${n}: other voxels than nibabel`);
  }
}
