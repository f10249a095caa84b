/** What is odd about volumes, alone and beside one another. */
import { dirname } from 'node:path/posix';
import { affineSpacing } from '../base/affine';
import { volumeStem } from '../formats/names';
import { hounsfieldBelow } from '../intensity';
import type { InspectedVolume } from './inspect';
import { farBelowAir } from './voxel-facts';

/** Something that a person should look at, and the files that it concerns. */
export interface Oddity {
  readonly note: string;
  readonly files: readonly string[];
}

/** An oddity in one line. Of many files it names the first four. */
export function oddityText({ note, files }: Oddity): string {
  const more = files.length > 4 ? ` and ${files.length - 4} more` : '';
  return `${note}: ${files.slice(0, 4).join(', ')}${more}`;
}

interface Circumstances {
  /** The volumes will be turned to RAS+. */
  readonly canonical?: boolean;
  /** Which volume of each file will be used. */
  readonly index?: number;
  /** Patients are told by `patientByName`. */
  readonly byName: boolean;
  /** A run holds some of the volumes out. */
  readonly holdsOut?: boolean;
}

/** All oddities, those of the values first. */
export function odditiesOf(volumes: readonly InspectedVolume[], circumstances: Circumstances): Oddity[] {
  const { canonical = false, index, byName, holdsOut = false } = circumstances;
  return [
    ...unitsOf(volumes),
    ...rules.flatMap(({ note, is }) => some(note, volumes.filter(is))),
    ...(canonical ? [] : orientationsOf(volumes)),
    ...(index === undefined
      ? []
      : some(`the file holds several volumes; number ${index} is used`, volumes.filter(isSeveral))),
    ...duplicatesOf(volumes),
    ...tiltedTwins(volumes),
    ...(byName ? patientsByName(volumes) : []),
    ...(holdsOut ? allOfOne(volumes) : []),
    ...bothKinds(volumes),
    ...notesOfSeries(volumes),
  ];
}

const isSeveral = ({ volumes }: InspectedVolume) => volumes > 1;

function some(note: string, volumes: readonly Pick<InspectedVolume, 'file'>[]): Oddity[] {
  return volumes.length > 0 ? [{ note, files: volumes.map(({ file }) => file) }] : [];
}

const fewSlices = 16;
const longVoxels = 5;

/** What one volume alone shows. */
const rules: readonly { readonly note: string; readonly is: (volume: InspectedVolume) => boolean }[] = [
  {
    note: 'all voxels have one value',
    is: ({ voxels }) => voxels !== undefined && voxels.range[0] === voxels.range[1],
  },
  {
    note: `much of it lies below ${farBelowAir} without being padding: Hounsfield units may have been scaled twice`,
    is: isScaledTwice,
  },
  {
    note: 'padding far below air (-1000): a window such as ctpa clips it, but `minmax` and errors count it',
    is: (volume) =>
      reachesBelowAir(volume) && !isScaledTwice(volume) && !Number.isNaN(volume.voxels!.belowAir),
  },
  {
    note: `values below ${farBelowAir}: padding, or Hounsfield units scaled twice`,
    is: (volume) => reachesBelowAir(volume) && Number.isNaN(volume.voxels!.belowAir),
  },
  {
    note: 'values up to 65535: negative numbers may have been stored as unsigned ones',
    is: ({ voxels, dtype }) => dtype === 'uint16' && (voxels?.range[1] ?? 0) > 60_000,
  },
  {
    note: 'the header does not tell how the volume lies in the patient',
    is: ({ placed }) => !placed,
  },
  {
    note: `fewer than ${fewSlices} voxels along an axis: a localiser or a broken series`,
    is: ({ shape }) => Math.min(...shape) < fewSlices,
  },
  {
    note: `voxels over ${longVoxels} times as long as wide; \`spacing\` resamples them`,
    is: ({ spacing }) => spacing !== undefined && Math.max(...spacing) > longVoxels * Math.min(...spacing),
  },
  {
    note: 'sheared: its gantry tilt is not corrected',
    is: isSheared,
  },
];

function reachesBelowAir({ voxels }: InspectedVolume): boolean {
  return voxels !== undefined && voxels.range[0] < farBelowAir;
}

/** Padding has one value, and air comes next. Values that were scaled twice reach down without a gap. */
function isScaledTwice({ voxels }: InspectedVolume): boolean {
  if (!voxels) return false;
  const { belowAir, atLeast } = voxels;
  return belowAir - atLeast > 0.05;
}

function isSheared({ affine }: InspectedVolume): boolean {
  if (!affine) return false;
  const lengths = affineSpacing(affine);
  return [
    [0, 1],
    [0, 2],
    [1, 2],
  ].some(([a, b]) => {
    const dot = [0, 4, 8].reduce((sum, row) => sum + affine[row + a!]! * affine[row + b!]!, 0);
    return Math.abs(dot) > 0.01 * lengths[a!]! * lengths[b!]!;
  });
}

/** Volumes in other units than the rest, and numbers as a detector gives them. */
function unitsOf(volumes: readonly InspectedVolume[]): Oddity[] {
  const known = volumes.filter(({ voxels }) => voxels !== undefined);
  const others = known.filter(({ voxels }) => voxels!.range[0] >= hounsfieldBelow);
  const raw = others.filter(({ voxels }) => isRaw(voxels!.range));
  const rest = others.length < known.length ? others.filter((one) => !raw.includes(one)) : [];
  return [
    ...some(
      'values 0 to 4095 at most, as a scanner stores them: Hounsfield units are lower by 1024 in most files',
      raw,
    ),
    ...some(`not in Hounsfield units (nothing below ${hounsfieldBelow}), but other volumes are`, rest),
  ];
}

/** Whole 12-bit numbers, and more than the 256 of a picture. */
function isRaw([low, high]: readonly [number, number]): boolean {
  return low >= 0 && low < 1000 && high > 1000 && high <= 4095;
}

function orientationsOf(volumes: readonly InspectedVolume[]): Oddity[] {
  const groups = [...groupBy(volumes, ({ orientation }) => orientation)].filter(([key]) => key !== undefined);
  groups.sort(([, a], [, b]) => b.length - a.length);
  const [most, ...others] = groups;
  return others.flatMap(([orientation, own]) =>
    some(`axes run ${orientation}, but ${most![0]} in most volumes; \`canonical\` turns all to RAS+`, own),
  );
}

function duplicatesOf(volumes: readonly InspectedVolume[]): Oddity[] {
  const same = [...groupBy(volumes, ({ voxels, shape }) => voxels && `${shape} ${voxels.digest}`)]
    .filter(([key, own]) => key !== undefined && own.length > 1)
    .map(([, own]) => own);
  const equation = (own: readonly InspectedVolume[]) => own.map(({ file }) => file).join(' = ');
  const patients = (own: readonly InspectedVolume[]) => new Set(own.map(({ patient }) => patient)).size;
  const apart = same.filter((own) => patients(own) > 1).map(equation);
  const together = same.filter((own) => patients(own) === 1).map(equation);
  return [
    { note: 'the same voxels count as different patients, who could land on two sides', files: apart },
    { note: 'the same voxels under several names', files: together },
  ].filter(({ files }) => files.length > 0);
}

/** dcm2niix writes a corrected copy beside a tilted or uneven original. */
function tiltedTwins(volumes: readonly InspectedVolume[]): Oddity[] {
  const files = new Map(volumes.map(({ file }) => [volumeStem(file), file]));
  const twins = [...files].flatMap(([stem, file]) => {
    const original = files.get(stem.replace(/(?:_(?:Tilt|Eq)(?:_?\d+)?)+$/i, ''));
    return original === undefined || original === file ? [] : [`${original} (of ${file})`];
  });
  const note =
    'a tilted or uneven original beside its corrected copy, which dcm2niix wrote: leave the original out';
  return twins.length > 0 ? [{ note, files: twins }] : [];
}

/** Names from which `patientByName` may take the wrong patient. */
function patientsByName(volumes: readonly InspectedVolume[]): Oddity[] {
  const files = volumes.filter(({ format }) => format !== 'dicom');
  return [...repeatedInFolders(files), ...numberedNames(files)];
}

/** `anna/scan1`, `anna/scan2`, `bert/scan1`: the names count as patients, and the folders are the patients. */
function repeatedInFolders(files: readonly InspectedVolume[]): Oddity[] {
  const folders = groupBy(files, ({ file }) => dirname(file));
  const several = new Set(
    [...folders]
      .filter(([, own]) => new Set(own.map(({ patient }) => patient)).size > 1)
      .map(([name]) => name),
  );
  const repeated = [...groupBy(files, ({ patient }) => patient).values()].filter((own) => {
    const places = [...new Set(own.map(({ file }) => dirname(file)))];
    return places.length > 1 && places.some((name) => several.has(name));
  });
  const note =
    'files of one name in several folders count as one patient. If folders are patients, give --patient "^([^/]+)/"';
  return some(note, repeated.flat());
}

/** `smith_1`, `smith_2`, `jones_1`: each counts as a patient, and the number may be that of a scan. */
function numberedNames(files: readonly InspectedVolume[]): Oddity[] {
  const patients = [...new Set(files.map(({ patient }) => patient))];
  const numbered = patients.flatMap((patient) => {
    const [, name, number] = /^(.*?\p{L}.*?)[_\- ]*(?<!\d)(\d)$/u.exec(patient) ?? [];
    return name === undefined ? [] : [{ patient, name, number: Number(number) }];
  });
  const names = groupBy(numbered, ({ name }) => name);
  const repeated = [...names.values()].filter((own) => own.length > 1);
  if (names.size < 2 || repeated.length === 0 || numbered.length > 4 * names.size) return [];
  const own = new Set(repeated.flat().map(({ patient }) => patient));
  const note =
    'names that differ in their last number count as different patients. If it is the number of a scan, give --patient or --csv';
  return some(
    note,
    files.filter(({ patient }) => own.has(patient)),
  );
}

function allOfOne(volumes: readonly InspectedVolume[]): Oddity[] {
  const patients = new Set(volumes.map(({ patient }) => patient));
  if (volumes.length < 2 || patients.size > 1) return [];
  const [only] = patients;
  return some(`all volumes are of patient ${only}, who is on both sides of the split`, volumes);
}

function bothKinds(volumes: readonly InspectedVolume[]): Oddity[] {
  const files = volumes.filter(({ format }) => format !== 'dicom');
  if (files.length === volumes.length) return [];
  const note =
    'files beside DICOM: if they are of the same patients, these count twice, because DICOM gives pseudonyms';
  return some(note, files);
}

function notesOfSeries(volumes: readonly InspectedVolume[]): Oddity[] {
  const noted = volumes.flatMap(({ file, notes }) => notes.map((note) => ({ file, note })));
  return [...groupBy(noted, ({ note }) => note)].flatMap(([note, own]) => some(note, own));
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
