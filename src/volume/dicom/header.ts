import { decodeName } from './character-sets';
import { type Elements, readElements, type Tag, text } from './elements';

/** What Patchwise reads of a DICOM file. Everything about the person stays in this room. */
export interface DicomHeader {
  readonly path: string;
  readonly bytes: number;
  readonly modified: number;
  readonly syntax: string;
  readonly sopClass: string;
  readonly instance: string;
  readonly study: string;
  readonly series: string;
  readonly seriesNumber: number | undefined;
  readonly description: string;
  readonly modality: string;
  readonly imageType: readonly string[];
  readonly rows: number;
  readonly columns: number;
  readonly samples: number;
  readonly pixels: Elements['pixels'];
  /** The first voxel of each slice in mm, LPS. */
  readonly positions: readonly Place[];
  /** Directions of rows and columns: six numbers; undefined if the file has none. */
  readonly orientation: readonly number[] | undefined;
  /** Distance of rows and of columns in mm. */
  readonly pixelSpacing: readonly number[] | undefined;
  readonly person: Person;
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
  position: 0x00200032,
  orientation: 0x00200037,
  samples: 0x00280002,
  rows: 0x00280010,
  columns: 0x00280011,
  pixelSpacing: 0x00280030,
} as const satisfies Record<string, Tag>;

const wanted: ReadonlySet<Tag> = new Set(Object.values(tags));

/** Reads a file's header. Throws NotDicom with the reason, or the system's error. */
export function readHeader(path: string): DicomHeader {
  const elements = readElements(path, wanted);
  const { values, framed, syntax, pixels, bytes, modified, littleEndian } = elements;
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
    [numbers(values.get(tag)), ...ofFrames(tag)].find(({ length }) => length === count);
  const positions = [numbers(values.get(tags.position)), ...ofFrames(tags.position)];
  const number = Number.parseInt(plain(tags.seriesNumber), 10);
  return {
    path,
    bytes,
    modified,
    syntax,
    pixels,
    sopClass: plain(tags.sopClass),
    instance: plain(tags.instance),
    study: plain(tags.study),
    series: plain(tags.series),
    seriesNumber: Number.isFinite(number) ? number : undefined,
    description: decoded(tags.description),
    modality: plain(tags.modality),
    imageType: plain(tags.imageType)
      .split('\\')
      .map((part) => part.trim().toUpperCase()),
    rows: short(tags.rows),
    columns: short(tags.columns),
    samples: short(tags.samples) || 1,
    positions: positions.filter((place): place is [number, number, number] => place.length === 3),
    orientation: one(tags.orientation, 6),
    pixelSpacing: one(tags.pixelSpacing, 2),
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

/** The numbers of a decimal string; empty if one of them is not finite. */
function numbers(value: Buffer | undefined): number[] {
  const parts = text(value)
    .split('\\')
    .map((part) => Number.parseFloat(part));
  return parts.every(Number.isFinite) ? parts : [];
}
