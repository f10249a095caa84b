/** Finds the series of DICOM files by their headers. */
import { setImmediate } from 'node:timers/promises';
import type { LongCall } from '../../progress';
import { isOfOneFile } from '../base/fault';
import { NotDicom } from './elements';
import type { Geometry } from './geometry';
import { type DicomHeader, readHeader } from './header';
import { gridOf } from './place-slices';
import { Pseudonyms, safeDescription, safePath } from './pseudonym';
import type { Slice } from './slice-files';
import { mainImages, type Stack, stackOf } from './stack';

/** A DICOM series. Nothing here names the patient, except the paths of its files. */
export interface Series {
  /** Patient, number and six digits: `P482913350612_s2_582131`. */
  readonly name: string;
  /** A pseudonym: `P482913350612`. */
  readonly patient: string;
  readonly number: number | undefined;
  /** Without words that name the patient, and without dates. */
  readonly description: string;
  readonly modality: string;
  /** Columns, rows, slices. */
  readonly shape: readonly [number, number, number];
  readonly geometry: Geometry | undefined;
  /** Why it is no volume; undefined if it is one. */
  readonly unusable: string | undefined;
  /** What a person should know about it. */
  readonly notes: readonly string[];
  /** Paths of its files, each slice once, in the order of their paths. */
  readonly files: readonly string[];
  /** Its slices in the order of the normal, one phase after the other; empty if it is no volume. */
  readonly slices: readonly Slice[];
}

/** What DICOM files hold. */
export interface DicomContent {
  /** Sorted by name. */
  readonly series: readonly Series[];
  /** Files that are no DICOM images, by reason. `example` is one of them, without parts that could name a patient. */
  readonly skipped: readonly { readonly reason: string; readonly files: number; readonly example: string }[];
  /** Fingerprint of the key that made the pseudonyms; empty without series. */
  readonly key: string;
}

/** Files between two looks at the signal. */
const atOnce = 64;

/**
 * Reads the headers of files and groups them into series, whichever folder a file lies in. Throws the system's error if
 * the machine is at fault, the signal's reason on abort.
 *
 * @param files absolute paths; paths within `root` are told to the user
 */
export async function scanDicom(
  root: string,
  files: readonly string[],
  call: LongCall = {},
): Promise<DicomContent> {
  const groups = new Map<string, DicomHeader[]>();
  const skipped = new Map<string, string[]>();
  // Opened at the first DICOM file, so that other folders need no key.
  let pseudonyms: Pseudonyms | undefined;
  for (const [i, path] of files.entries()) {
    if (i % atOnce === 0) {
      await setImmediate();
      call.signal?.throwIfAborted();
      call.onProgress?.({ done: i, total: files.length, what: 'files' });
    }
    const header = headerOf(path);
    if (typeof header === 'string') append(skipped, header, path);
    else {
      pseudonyms ??= Pseudonyms.open();
      append(groups, `${header.study} ${header.series} ${pseudonyms.patient(header)}`, header);
    }
  }
  const series = [...groups.values()].map((headers) => seriesOf(headers, pseudonyms!));
  series.sort((a, b) => (a.name < b.name ? -1 : 1));
  const told = (path: string) => safePath(path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path);
  return {
    series,
    skipped: [...skipped].map(([reason, paths]) => ({
      reason,
      files: paths.length,
      example: told(paths[0]!),
    })),
    key: pseudonyms?.fingerprint ?? '',
  };
}

/** Why a file is not used as DICOM. Throws the system's error if the machine is at fault. */
export function whyNotDicom(path: string): string | undefined {
  const header = headerOf(path);
  return typeof header === 'string' ? header : undefined;
}

/** The header of a file, or the reason why it is not used. */
function headerOf(path: string): DicomHeader | string {
  try {
    const header = readHeader(path);
    return header.series === '' ? 'DICOM without a series' : header;
  } catch (error) {
    if (error instanceof NotDicom) return error.message;
    if (isOfOneFile(error)) return `a file that cannot be opened (${error.code})`;
    throw error;
  }
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const values = map.get(key);
  if (values) values.push(value);
  else map.set(key, [value]);
}

function seriesOf(headers: readonly DicomHeader[], pseudonyms: Pseudonyms): Series {
  const [first] = headers as [DicomHeader];
  // A file that was copied is one slice.
  const distinct = [...new Map(headers.map((header) => [header.instance || header.path, header])).values()];
  const all = distinct.filter(({ pixels }) => pixels !== 'none').sort((a, b) => (a.path < b.path ? -1 : 1));
  const images = mainImages(all);
  const stack = images && stackOf(images);
  const geometry = stack?.geometry;
  const reason = reasonAgainst(images ?? all, images !== undefined, first.modality, geometry);
  const { format } = images?.[0] ?? first;
  return {
    name: pseudonyms.series(first),
    patient: pseudonyms.patient(first),
    number: first.seriesNumber,
    description: safeDescription(first.description, first.person),
    modality: /^[A-Z]{2,16}$/.test(first.modality) ? first.modality : '',
    shape: [format.columns, format.rows, geometry?.slices ?? all.length],
    geometry,
    unusable: reason,
    notes: [
      ...copies(headers.length - distinct.length),
      ...others(all.length - (images?.length ?? all.length)),
      ...identity(first),
      ...placesNotes(stack),
    ],
    files: (images ?? all).map(({ path }) => path),
    slices: reason === undefined ? (stack?.slices ?? []) : [],
  };
}

const secondaryCapture = '1.2.840.10008.5.1.4.1.1.7';
/** Deflated, and what this build of dcm2niix decodes: uncompressed, RLE, JPEG, lossless JPEG, JPEG-LS, JPEG 2000. */
const decodable = /^1\.2\.840\.10008\.1\.2(?:\.1\.99|\.[12]|\.5|\.4\.(?:50|51|57|70|80|81|90|91))?$/;

/** The most planes for each slice: interpolation adds at most as many as there are. */
const planesPerSlice = 2;

/**
 * Why a series is no volume.
 * @param images those that are used, all if none are
 * @param areAlike whether they have one size and direction
 */
function reasonAgainst(
  images: readonly DicomHeader[],
  areAlike: boolean,
  modality: string,
  geometry: Geometry | undefined,
): string | undefined {
  const [first] = images;
  if (!first) return `no image${/^[A-Z]{2,16}$/.test(modality) ? ` (${modality})` : ''}`;
  const { sopClass, imageType, format, pixelSpacing } = first;
  if (`${sopClass}.`.startsWith(`${secondaryCapture}.`)) return 'a screen capture';
  if (imageType.includes('LOCALIZER')) return 'a localiser';
  if (first.samples > 1 || format.photometric === 'PALETTE COLOR') return 'a colour picture';
  const coded = images.find(({ format }) => !decodable.test(format.syntax))?.format.syntax;
  if (coded) return `compressed in a way that cannot be read (${coded}); unpack it with \`gdcmconv -w\``;
  const cut = images.filter(({ pixels }) => pixels === 'cut').length;
  if (cut > 0) return `${cut} of its ${images.length} files are cut short; copy or download them again`;
  if (images.every(({ positions, orientation }) => positions.length === 0 || !orientation))
    return 'its slices have no place in the patient';
  if (!areAlike) return 'its slices have several sizes or directions';
  const { allocated, stored, high, columns, rows } = format;
  if (![8, 16, 32].includes(allocated) || high !== stored - 1)
    return `pixels of ${stored} bits up to bit ${high} of ${allocated}`;
  if (!pixelSpacing?.every((distance) => distance > 0)) return 'its pixels have no size in mm';
  if (!geometry) return 'its files do not tell the place of every slice';
  if (geometry.slices < 2) return 'one slice';
  const { uneven, extent, spacing } = geometry;
  const planes = 1 + (uneven ? Math.round(extent / spacing[2]) : geometry.planes.at(-1)!);
  if (planes > planesPerSlice * geometry.slices)
    return `${planes - geometry.slices} of its ${planes} slices are missing; copy or download them again`;
  return gridOf(geometry, columns, rows) ? undefined : 'its slices do not lie above each other';
}

function copies(count: number): string[] {
  return count > 0 ? [`${count} files are there twice; one of each is used`] : [];
}

function others(count: number): string[] {
  if (count === 1) return ['an image of another size or direction is not used'];
  return count > 0 ? [`${count} images of another size or direction are not used`] : [];
}

function identity({ person: { id, name } }: DicomHeader): string[] {
  if (id !== '') return [];
  const by = name === '' ? 'its study counts as the patient' : 'its name and date of birth tell the patient';
  return [`it has no patient id; ${by}`];
}

function placesNotes(stack: Stack | undefined): string[] {
  if (!stack) return [];
  const { missing, repeated, uneven, slices } = stack.geometry;
  const notes: string[] = [];
  const gaps = missing.slice(0, 4).map(({ after, slices }) => `${slices} after slice ${after}`);
  if (gaps.length > 0)
    notes.push(`slices are missing: ${gaps.join(', ')}${missing.length > 4 ? ', ...' : ''}`);
  if (uneven) notes.push(`its slices are uneven, ${uneven.map(millimetres).join(' to ')} mm apart`);
  const phases = stack.slices.length / slices;
  if (phases > 1) notes.push(`${phases} slices lie at every place: several phases or echoes`);
  else if (repeated === 1) notes.push('a slice lies where another one does; the first of them is used');
  else if (repeated > 0)
    notes.push(`${repeated} slices lie where another one does; the first of each place is used`);
  return notes;
}

function millimetres(value: number): string {
  return String(Number(value.toFixed(2)));
}
