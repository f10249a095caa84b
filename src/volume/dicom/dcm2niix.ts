/** Runs dcm2niix, compiled to WebAssembly, in this thread. */
import { existsSync, readdirSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { withFile, withPath } from '../../atomic-file';
import { NoMemory, UnreadableFile } from '../../errors';
import { deflated, inflateFile, NotDicom } from './elements';
import type { Geometry } from './geometry';
import { mountHost, type ProgramFiles } from './host-files';
import { type Decoded, type Grid, gridOf, headerBytes, placeSlices } from './place-slices';
import type { Series } from './scan';
import { sliceFile } from './slice-files';

interface Program {
  readonly FS: ProgramFiles;
  callMain(args: string[]): number;
}

/** A series as a NIfTI file. */
export interface ConvertedSeries {
  readonly path: string;
  /** What was done to it, for a person. */
  readonly notes: readonly string[];
}

const pack = '@niivue/dcm2niix';
const unknown = 'damaged files, or a kind that dcm2niix does not know';

/**
 * Converts a series to an uncompressed NIfTI file in a folder that holds nothing else. dcm2niix decodes the slices;
 * Patchwise orders and places them by their positions. Memory is a few times the volume. The file has no text of the DICOM files.
 * Throws UnreadableFile if dcm2niix makes no volume of it, NoMemory if it lacks memory, the disk's error.
 */
export async function convertSeries(series: Series, folder: string): Promise<ConvertedSeries> {
  const { name, geometry, shape, slices, unusable } = series;
  const grid = geometry && gridOf(geometry, shape[0], shape[1]);
  if (!grid) throw new UnreadableFile(name, 'a series that is a volume', unusable ?? 'no slices');
  const code = await decode(series, folder);
  const made = readdirSync(folder).filter((file) => file.endsWith('.nii'));
  const stack = decoded(series, made, folder, code);
  const path = placeSlices(
    stack,
    geometry,
    grid,
    slices.length / geometry.slices,
    join(folder, 'placed.nii'),
  );
  for (const file of readdirSync(folder)) if (join(folder, file) !== path) rmSync(join(folder, file));
  return { path, notes: notesOn(geometry, grid) };
}

/** Runs dcm2niix on the slices of a series. Returns its exit code. */
async function decode(series: Series, folder: string): Promise<number> {
  const { name, slices } = series;
  const files = inflateAll(series, folder);
  const faults: unknown[] = [];
  const onError = (error: unknown) => faults.push(error);
  let code: number;
  let outOfMemory = false;
  const listen = (line: string) => {
    outOfMemory ||= /out of memory|failed to allocate|OOM|memory access out of bounds/i.test(line);
  };
  try {
    const program = await load(listen);
    const numbered = slices.map((slice, i) => {
      return [`${i}.dcm`.padStart(10, '0'), sliceFile(slice, files[slice.file]!, i)] as const;
    });
    mountHost(program.FS, '/in', { files: new Map(numbered) }, onError);
    mountHost(program.FS, '/out', { files: new Map(), folder }, onError);
    // -l n: unsigned 16 bits become signed if they fit. -b n: no sidecar.
    code = program.callMain(['-z', 'n', '-b', 'n', '-l', 'n', '-g', 'i', '-f', 'v', '-o', '/out', '/in']);
  } catch (error) {
    if (faults.length > 0) throw faults[0];
    if (outOfMemory || error instanceof RangeError) throw new NoMemory(name, 0, { cause: error });
    throw new UnreadableFile(
      name,
      'a series that dcm2niix converts',
      `${unknown} (${(error as Error).name})`,
    );
  }
  if (faults.length > 0) throw faults[0];
  if (outOfMemory) throw new NoMemory(name, 0);
  return code;
}

/** Files with deflated ones replaced by inflated copies in the folder. They are removed with all that is not the volume. */
function inflateAll({ name, files, slices }: Series, folder: string): string[] {
  const inflated = new Set(slices.filter(({ format }) => format.syntax === deflated).map(({ file }) => file));
  try {
    return files.map((path, i) => {
      const whole = inflated.has(i) ? inflateFile(path) : undefined;
      if (!whole) return path;
      const copy = join(folder, `${i}.inflated`);
      try {
        writeFileSync(copy, whole, { mode: 0o600 });
      } catch (error) {
        throw withPath(error, copy);
      }
      return copy;
    });
  } catch (error) {
    if (!(error instanceof NotDicom)) throw error;
    throw new UnreadableFile(name, 'whole files', error.message, { cause: error });
  }
}

/** The file that dcm2niix made: all slices, and nothing else. */
function decoded(series: Series, made: readonly string[], folder: string, code: number): Decoded {
  const { name, shape, slices } = series;
  const [file] = made;
  if (file === undefined)
    throw new UnreadableFile(name, 'a series that dcm2niix converts', `${unknown} (exit code ${code})`);
  const path = join(folder, file);
  const header = Buffer.alloc(headerBytes);
  withFile(path, 'r', (open) => readSync(open, header, 0, header.length, 0));
  const sizes = [1, 2, 3, 4].map((axis) => header.readInt16LE(40 + 2 * axis));
  const expected = [shape[0], shape[1], slices.length, 1];
  if (made.length > 1 || sizes.join() !== expected.join())
    throw new UnreadableFile(
      name,
      `${slices.length} slices of one size`,
      `${made.length} images, the first of ${sizes.join(' x ')}: ${unknown}`,
    );
  return { path, header, columns: shape[0], rows: shape[1] };
}

function notesOn(geometry: Geometry, { planes, shifts, affine }: Grid): string[] {
  const notes: string[] = [];
  if (shifts)
    notes.push(
      geometry.tilt > 0
        ? `its gantry tilt of ${digits(geometry.tilt, 1)} degrees is corrected`
        : 'its slices lie beside each other; they are moved to their places on a wider grid',
    );
  if (geometry.uneven || geometry.missing.length > 0) {
    const step = Math.hypot(affine[2]!, affine[6]!, affine[10]!);
    notes.push(`its slices are interpolated to ${planes}, ${digits(step, 3)} mm apart`);
  }
  return notes;
}

function digits(value: number, count: number): string {
  return String(Number(value.toFixed(count)));
}

/** Each call needs a program of its own: its memory never shrinks, and it keeps state. */
async function load(listen: (line: string) => void): Promise<Program> {
  const dist = distFolder();
  const { default: create } = (await import(pathToFileURL(join(dist, 'dcm2niix.jpeg.js')).href)) as {
    default: (options: object) => Promise<Program>;
  };
  const wasmBinary = readFileSync(join(dist, 'dcm2niix.jpeg.wasm'));
  return create({ wasmBinary, noInitialRun: true, print: listen, printErr: listen });
}

/** The package exports only code for browsers, so its folder is searched for. */
function distFolder(): string {
  const places = createRequire(__filename).resolve.paths(pack) ?? [];
  const found = places.map((place) => join(place, pack, 'dist')).find((place) => existsSync(place));
  if (found === undefined) throw new Error(`the package ${pack} is missing: run \`npm ci\``);
  return found;
}
