import { decodeName } from './character-sets';
import { type Elements, type PixelPlace, readElements, type Tag, text } from './elements';

/** What Patchwise reads of a DICOM file. Everything about the person stays in this room. */
export interface DicomHeader {
  readonly path: string;
  readonly bytes: number;
  readonly modified: number;
  readonly sopClass: string;
  readonly instance: string;
  readonly study: string;
  readonly series: string;
  readonly seriesNumber: number | undefined;
  readonly description: string;
  readonly modality: string;
  readonly imageType: readonly string[];
  readonly instanceNumber: number | undefined;
  readonly samples: number;
  readonly format: PixelFormat;
  readonly pixels: Elements['pixels'];
  readonly place: PixelPlace | undefined;
  /** Of the file: more than one in a multi-frame file. */
  readonly frames: number;
  /** The first voxel of each slice in mm, LPS. */
  readonly positions: readonly Place[];
  /** `value = stored * slope + intercept`, of each frame or of all. */
  readonly slopes: readonly number[];
  readonly intercepts: readonly number[];
  /** Directions of rows and columns: six numbers; undefined if the file has none, or its frames have several. */
  readonly orientation: readonly number[] | undefined;
  /** Distance of rows and of columns in mm. */
  readonly pixelSpacing: readonly number[] | undefined;
  readonly person: Person;
}

/** How pixels are stored. */
export interface PixelFormat {
  readonly syntax: string;
  readonly rows: number;
  readonly columns: number;
  readonly photometric: string;
  /** Bits of a pixel's place, of its value, and the highest of these. */
  readonly allocated: number;
  readonly stored: number;
  readonly high: number;
  readonly signed: boolean;
}

export type Place = readonly [number, number, number];

/** Who the patient is. Never leaves this room. */
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly birth: string;
  /** Other names, ids and dates of the file, for hiding them. */
  readonly others: readonly string[];
}

const tags = {
  characters: 0x00080005,
  imageType: 0x00080008,
  sopClass: 0x00080016,
  instance: 0x00080018,
  studyDate: 0x00080020,
  accession: 0x00080050,
  modality: 0x00080060,
  physician: 0x00080090,
  description: 0x0008103e,
  name: 0x00100010,
  id: 0x00100020,
  birth: 0x00100030,
  otherIds: 0x00101000,
  otherNames: 0x00101001,
  study: 0x0020000d,
  series: 0x0020000e,
  seriesNumber: 0x00200011,
  instanceNumber: 0x00200013,
  position: 0x00200032,
  orientation: 0x00200037,
  samples: 0x00280002,
  photometric: 0x00280004,
  frames: 0x00280008,
  rows: 0x00280010,
  columns: 0x00280011,
  pixelSpacing: 0x00280030,
  allocated: 0x00280100,
  stored: 0x00280101,
  high: 0x00280102,
  signed: 0x00280103,
  intercept: 0x00281052,
  slope: 0x00281053,
} as const satisfies Record<string, Tag>;

const wanted: ReadonlySet<Tag> = new Set(Object.values(tags));

/** Reads a file's header. Throws NotDicom with the reason, or the system's error. */
export function readHeader(path: string): DicomHeader {
  const elements = readElements(path, wanted);
  const { values, framed, syntax, pixels, place, bytes, modified, littleEndian } = elements;
  const plain = (tag: Tag) => text(values.get(tag));
  const characters = plain(tags.characters);
  const decoded = (tag: Tag) => decodeName(values.get(tag), characters);
  const short = (tag: Tag) => {
    const value = values.get(tag);
    if (!value || value.length < 2) return 0;
    return littleEndian ? value.readUInt16LE() : value.readUInt16BE();
  };
  const ofFrames = (tag: Tag) => framed.filter(([own]) => own === tag).map(([, value]) => numbers(value));
  const one = (tag: Tag, count: number) =>
    [...ofFrames(tag), numbers(values.get(tag))].find(({ length }) => length === count);
  const positions = [numbers(values.get(tags.position)), ...ofFrames(tags.position)];
  const whole = (tag: Tag) => {
    const number = Number.parseInt(plain(tag), 10);
    return Number.isFinite(number) ? number : undefined;
  };
  /** One number of each frame, or one of all. */
  const ofAll = (tag: Tag, otherwise: number) => {
    const framed = ofFrames(tag).flatMap(([first]) => first ?? []);
    return framed.length > 0 ? framed : [numbers(values.get(tag))[0] ?? otherwise];
  };
  const [rows, columns, allocated] = [short(tags.rows), short(tags.columns), short(tags.allocated)];
  const stored = short(tags.stored) || allocated;
  const samples = short(tags.samples) || 1;
  const frames = Math.max(1, whole(tags.frames) ?? 1);
  const least = place?.pieces ? 0 : (rows * columns * samples * allocated * frames) / 8;
  return {
    path,
    bytes,
    modified,
    pixels: place && place.bytes < least ? 'cut' : pixels,
    place,
    sopClass: plain(tags.sopClass),
    instance: plain(tags.instance),
    study: plain(tags.study),
    series: plain(tags.series),
    seriesNumber: whole(tags.seriesNumber),
    instanceNumber: whole(tags.instanceNumber),
    description: decoded(tags.description),
    modality: plain(tags.modality),
    imageType: plain(tags.imageType)
      .split('\\')
      .map((part) => part.trim().toUpperCase()),
    samples,
    format: {
      syntax,
      rows,
      columns,
      photometric: plain(tags.photometric),
      allocated,
      stored,
      high: short(tags.high) || stored - 1,
      signed: short(tags.signed) === 1,
    },
    frames,
    positions: positions.filter((place): place is [number, number, number] => place.length === 3),
    slopes: ofAll(tags.slope, 1),
    intercepts: ofAll(tags.intercept, 0),
    orientation: isOne(ofFrames(tags.orientation)) ? one(tags.orientation, 6) : undefined,
    pixelSpacing: isOne(ofFrames(tags.pixelSpacing)) ? one(tags.pixelSpacing, 2) : undefined,
    person: {
      id: decoded(tags.id),
      name: decoded(tags.name),
      birth: plain(tags.birth),
      others: [
        ...[tags.otherIds, tags.otherNames, tags.physician, tags.accession].map(decoded),
        plain(tags.studyDate),
      ],
    },
  };
}

/** Whether directions of frames are all the same, as written. */
function isOne([first, ...others]: readonly (readonly number[])[]): boolean {
  return others.every((own) => own.every((value, i) => Math.abs(value - first![i]!) < 1e-2));
}

/** The numbers of a decimal string; empty if one of them is not finite. */
function numbers(value: Buffer | undefined): number[] {
  const parts = text(value)
    .split('\\')
    .map((part) => Number.parseFloat(part));
  return parts.every(Number.isFinite) ? parts : [];
}
