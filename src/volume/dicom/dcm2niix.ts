/** Runs dcm2niix, compiled to WebAssembly, in this thread. */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { withFile, withPath } from '../../atomic-file';
import { NoMemory, UnreadableFile } from '../../errors';
import { inflateFile, NotDicom } from './elements';
import { mountHost, type ProgramFiles } from './host-files';
import type { Series } from './scan';

interface Program {
  readonly FS: ProgramFiles;
  callMain(args: string[]): number;
}

/** A series as a NIfTI file. */
export interface ConvertedSeries {
  readonly path: string;
  /** What dcm2niix did to it, for a person. */
  readonly notes: readonly string[];
}

const pack = '@niivue/dcm2niix';
const unknown = 'damaged files, or a kind that it does not know';

/**
 * Converts a series to an uncompressed NIfTI file in a folder that holds nothing else. Memory is a few times the volume.
 * The file has no text of the DICOM files. Throws UnreadableFile if dcm2niix makes no volume of it, NoMemory if it lacks
 * memory, the disk's error.
 */
export async function convertSeries(series: Series, folder: string): Promise<ConvertedSeries> {
  const { name } = series;
  const files = series.deflated ? inflateAll(series, folder) : series.files;
  const faults: unknown[] = [];
  const onError = (error: unknown) => faults.push(error);
  let code: number;
  let outOfMemory = false;
  const listen = (line: string) => {
    // Its lines may hold dates and names, so none of them is printed.
    outOfMemory ||= /out of memory|failed to allocate|OOM|memory access out of bounds/i.test(line);
  };
  try {
    const program = await load(listen);
    // By number, because names of files may name the patient.
    const numbered = new Map(files.map((path, i) => [`${i}.dcm`.padStart(10, '0'), path]));
    mountHost(program.FS, '/in', { files: numbered }, onError);
    mountHost(program.FS, '/out', { files: new Map(), folder }, onError);
    // -l n: unsigned 16 bits become signed if they fit; only then are tilt and uneven slices corrected. -b n: no sidecar.
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
  const made = readdirSync(folder).filter((file) => file.endsWith('.nii'));
  const path = pick(series, made, folder, code);
  for (const file of readdirSync(folder)) if (join(folder, file) !== path) rmSync(join(folder, file));
  removeTexts(path);
  return { path, notes: notesOn(series, made, path) };
}

/** Files with deflated ones replaced by inflated copies in the folder. They are removed with all that is not the volume. */
function inflateAll({ name, files }: Series, folder: string): string[] {
  try {
    return files.map((path, i) => {
      const whole = inflateFile(path);
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

/** The best of the files of a series: with tilt and uneven slices corrected, then the largest. */
function pick({ name, geometry }: Series, made: readonly string[], folder: string, code: number): string {
  if (made.length === 0)
    throw new UnreadableFile(name, 'a series that dcm2niix converts', `${unknown} (exit code ${code})`);
  const even = made.filter(isEven);
  const corrected = even.length > 0 ? even : made.filter(isCorrected);
  const candidates = corrected.length > 0 ? corrected : made;
  if (geometry && geometry.tilt > 0.5 && !candidates.some(isCorrected))
    throw new UnreadableFile(
      name,
      'upright slices',
      `a gantry tilt of ${degrees(geometry.tilt)} that dcm2niix cannot correct`,
    );
  const isUneven = geometry && (geometry.uneven || geometry.missing.length > 0);
  if (isUneven && !candidates.some(isEven))
    throw new UnreadableFile(name, 'even slices', 'uneven or missing slices that dcm2niix cannot make even');
  const sizes = candidates.map((file) => statSync(join(folder, file)).size);
  return join(folder, candidates[sizes.indexOf(Math.max(...sizes))]!);
}

function isCorrected(file: string): boolean {
  return file.includes('_Tilt');
}

function isEven(file: string): boolean {
  return file.includes('_Eq');
}

function notesOn({ geometry }: Series, made: readonly string[], path: string): string[] {
  const notes: string[] = [];
  if (isCorrected(path))
    notes.push(
      `its gantry tilt of ${degrees(geometry?.tilt ?? 0)} is corrected; the tilted image is not used`,
    );
  if (isEven(path)) {
    const { slices, step } = slicesOf(path);
    const lost = (geometry?.extent ?? 0) - (slices - 1) * step;
    const cut = lost > step / 2 ? `; ${Number(lost.toFixed(1))} mm at the end are lost` : '';
    notes.push(`its slices are interpolated to be ${Number(step.toFixed(3))} mm apart${cut}`);
  }
  const others = made.filter((file) => !isCorrected(file) && !isEven(file)).length - 1;
  if (others > 0) notes.push(`${others} smaller images of another size, direction or echo are not used`);
  return notes;
}

/** Slices of a NIfTI-1 file, and their distance in mm. */
function slicesOf(path: string): { slices: number; step: number } {
  const header = Buffer.alloc(348);
  withFile(path, 'r', (file) => readSync(file, header, 0, header.length, 0));
  return { slices: header.readInt16LE(46), step: header.readFloatLE(88) };
}

function degrees(angle: number): string {
  return `${Number(angle.toFixed(1))} degrees`;
}

/** Texts of a NIfTI-1 header: data_type, db_name, descrip, aux_file, intent_name. dcm2niix writes comments and times there. */
const texts: readonly (readonly [at: number, length: number])[] = [
  [4, 10],
  [14, 18],
  [148, 80],
  [228, 24],
  [328, 16],
];

/** Removes all texts from a header. Extensions would lie between it and the voxels; dcm2niix writes none. */
function removeTexts(path: string): void {
  const file = openSync(path, 'r+');
  try {
    const header = Buffer.alloc(352);
    readSync(file, header, 0, header.length, 0);
    if (header.readInt32LE(0) !== 348 || header.readFloatLE(108) !== 352 || header[348] !== 0)
      throw new UnreadableFile(path, 'NIfTI-1 without extensions by dcm2niix', 'something else');
    for (const [at, length] of texts) header.fill(0, at, at + length);
    writeSync(file, header, 0, header.length, 0);
  } finally {
    closeSync(file);
  }
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
