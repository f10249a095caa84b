/** What a NIfTI file says beside its voxels and their place. */
import type { Vec3 } from '../../vec3';
import type { ByteReader } from './bytes';

/** Fields of a NIfTI header that reading does not need. Writing the volume keeps them. */
export interface NiftiExtras {
  /** The values that a viewer shows black and white; both 0 if the file does not say. */
  readonly calMin: number;
  readonly calMax: number;
  /** What the values mean: a code of nifti1.h, its three parameters and a name. */
  readonly intent: { readonly code: number; readonly parameters: Vec3; readonly name: string };
  /** The name of another file. */
  readonly auxFile: string;
  /** Where the time axis begins. */
  readonly toffset: number;
  /** nifti1.h's code: 8 seconds, 16 milliseconds, 24 microseconds, 32 Hz, 40 ppm, 48 radians per second; 0 unknown. */
  readonly timeUnit: number;
  /** The steps of time and of the axes after it: pixdim[4] to pixdim[7]. */
  readonly steps: readonly number[];
  /** Which axes are frequency, phase and slice, two bits each, and in what order and time slices were taken. */
  readonly dimInfo: number;
  readonly slices: {
    readonly code: number;
    readonly start: number;
    readonly end: number;
    readonly duration: number;
  };
  /** What other programs attached, unchanged. */
  readonly extensions: readonly NiftiExtension[];
}

export interface NiftiExtension {
  /** Who defined the content: 2 is DICOM, 4 AFNI, 6 a comment. */
  readonly code: number;
  readonly data: Uint8Array;
}

/** The byte at which each field begins in NIfTI-1 and in NIfTI-2, and its type in each. */
const places = {
  dimInfo: [39, 'uint8', 524, 'uint8'],
  intentParameters: [56, 'float32', 80, 'float64'],
  intentCode: [68, 'int16', 504, 'int32'],
  sliceStart: [74, 'int16', 224, 'int64'],
  steps: [92, 'float32', 136, 'float64'],
  sliceEnd: [120, 'int16', 232, 'int64'],
  sliceCode: [122, 'uint8', 496, 'int32'],
  units: [123, 'uint8', 500, 'int32'],
  calMax: [124, 'float32', 192, 'float64'],
  calMin: [128, 'float32', 200, 'float64'],
  sliceDuration: [132, 'float32', 208, 'float64'],
  toffset: [136, 'float32', 216, 'float64'],
} as const;

const texts = {
  auxFile: [228, 320, 24],
  intentName: [328, 508, 16],
} as const;

type Field = keyof typeof places;

/** The largest value of a whole-number type that a field of it keeps. */
const greatest = { uint8: 255, int16: 32767, int32: 2 ** 31 - 1, int64: 2 ** 31 - 1 } as const;

type Whole = keyof typeof greatest;

/** Reads and writes numbers and texts of a header by name. */
class Fields {
  constructor(
    private readonly view: DataView,
    private readonly version: 1 | 2,
    private readonly little: boolean,
  ) {}

  /** A field's number; 0 if it is not finite. */
  get(field: Field, n = 0): number {
    const [at, type] = this.placeOf(field, n);
    const { view, little } = this;
    const value = {
      uint8: () => view.getUint8(at),
      int16: () => view.getInt16(at, little),
      int32: () => view.getInt32(at, little),
      int64: () => Number(view.getBigInt64(at, little)),
      float32: () => view.getFloat32(at, little),
      float64: () => view.getFloat64(at, little),
    }[type]();
    return Number.isFinite(value) ? value : 0;
  }

  /** Sets a field; to 0 if its type cannot hold the value. */
  put(field: Field, value: number, n = 0): void {
    const [at, type] = this.placeOf(field, n);
    const { view, little } = this;
    const whole = type in greatest && !(value >= 0 && value <= greatest[type as Whole]) ? 0 : value;
    if (type === 'float32') view.setFloat32(at, value, little);
    else if (type === 'float64') view.setFloat64(at, value, little);
    else if (type === 'uint8') view.setUint8(at, whole);
    else if (type === 'int16') view.setInt16(at, whole, little);
    else if (type === 'int32') view.setInt32(at, whole, little);
    else view.setBigInt64(at, BigInt(whole), little);
  }

  getText(field: keyof typeof texts): string {
    const bytes = this.textBytes(field);
    return Buffer.from(bytes).toString('latin1').split('\0', 1)[0]!;
  }

  putText(field: keyof typeof texts, text: string): void {
    const bytes = this.textBytes(field);
    bytes.set(Buffer.from(text.slice(0, bytes.length), 'latin1'));
  }

  private placeOf(field: Field, n: number) {
    const [first, firstType, second, secondType] = places[field];
    return this.version === 1
      ? ([first + 4 * n, firstType] as const)
      : ([second + 8 * n, secondType] as const);
  }

  private textBytes(field: keyof typeof texts): Uint8Array {
    const [first, second, length] = texts[field];
    const at = this.version === 1 ? first : second;
    return new Uint8Array(this.view.buffer, this.view.byteOffset + at, length);
  }
}

/** The fields of a header, without extensions. */
export function parseExtras(view: DataView, version: 1 | 2, little: boolean): NiftiExtras {
  const fields = new Fields(view, version, little);
  const get = (field: Field) => fields.get(field);
  const parameter = (n: number) => fields.get('intentParameters', n);
  return {
    calMin: get('calMin'),
    calMax: get('calMax'),
    intent: {
      code: get('intentCode'),
      parameters: [parameter(0), parameter(1), parameter(2)],
      name: fields.getText('intentName'),
    },
    auxFile: fields.getText('auxFile'),
    toffset: get('toffset'),
    timeUnit: get('units') & 0x38,
    steps: [0, 1, 2, 3].map((n) => fields.get('steps', n)),
    dimInfo: get('dimInfo'),
    slices: {
      code: get('sliceCode'),
      start: get('sliceStart'),
      end: get('sliceEnd'),
      duration: get('sliceDuration'),
    },
    extensions: [],
  };
}

/**
 * Puts the fields into a little-endian header, without extensions.
 * @param sameAxes whether the axes are those that the fields were read with: others have another slice axis
 */
export function putExtras(
  view: DataView,
  version: 1 | 2,
  extras: NiftiExtras | undefined,
  sameAxes: boolean,
): void {
  const fields = new Fields(view, version, true);
  fields.put('units', 2 + (extras?.timeUnit ?? 0)); // mm
  for (const [n, step] of (extras?.steps ?? [1, 1, 1, 1]).entries()) fields.put('steps', step, n);
  if (!extras) return;
  const { calMin, calMax, intent, auxFile, toffset, dimInfo, slices } = extras;
  fields.put('calMin', calMin);
  fields.put('calMax', calMax);
  fields.put('toffset', toffset);
  fields.putText('auxFile', auxFile);
  fields.put('intentCode', intent.code);
  fields.putText('intentName', intent.name);
  for (const [n, value] of intent.parameters.entries()) fields.put('intentParameters', value, n);
  if (!sameAxes) return;
  fields.put('dimInfo', dimInfo);
  fields.put('sliceCode', slices.code);
  fields.put('sliceStart', slices.start);
  fields.put('sliceEnd', slices.end);
  fields.put('sliceDuration', slices.duration);
}

/** More than any program attaches. It bounds the memory that a wrong header costs. */
const mostExtensionBytes = 2 ** 24;

/**
 * Reads the extensions behind a header. It leaves out those that have a wrong size, and all after them.
 * @param start the file's first bytes, behind which `reader` stands
 * @param end where the voxels begin; of a pair, infinity
 */
export async function readExtensions(
  reader: ByteReader,
  start: Uint8Array,
  {
    headerBytes,
    end,
    little,
  }: { readonly headerBytes: number; readonly end: number; readonly little: boolean },
): Promise<NiftiExtension[]> {
  let known = start.subarray(headerBytes, end);
  if (known.length === 0) {
    // NIfTI-2's header is as long as `start`.
    known = new Uint8Array(4);
    await reader.read(known);
  }
  if (known[0] === 0) return [];
  known = known.subarray(4);
  const most = Math.min(end - headerBytes - 4, reader.atMost, mostExtensionBytes);
  const bytes = new Uint8Array(Math.max(known.length, most));
  bytes.set(known);
  const length = known.length + (await reader.read(bytes.subarray(known.length)));
  const view = new DataView(bytes.buffer, 0, length);
  const extensions: NiftiExtension[] = [];
  for (let at = 0; at + 8 <= length; ) {
    const size = view.getInt32(at, little);
    if (size < 8 || at + size > length) break;
    extensions.push({ code: view.getInt32(at + 4, little), data: bytes.slice(at + 8, at + size) });
    at += size;
  }
  return extensions;
}

/** The bytes behind a header: four that say whether extensions follow, and these, each padded to 16 bytes. */
export function encodeExtensions(extensions: readonly NiftiExtension[]): Uint8Array {
  const sizes = extensions.map(({ data }) => 16 * Math.ceil((8 + data.length) / 16));
  const bytes = new Uint8Array(4 + sizes.reduce((a, b) => a + b, 0));
  if (extensions.length > 0) bytes[0] = 1;
  const view = new DataView(bytes.buffer);
  let at = 4;
  for (const [n, { code, data }] of extensions.entries()) {
    view.setInt32(at, sizes[n]!, true);
    view.setInt32(at + 4, code, true);
    bytes.set(data, at + 8);
    at += sizes[n]!;
  }
  return bytes;
}
