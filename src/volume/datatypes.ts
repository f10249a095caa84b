/** Arrays that hold voxels as a file stores them. 64-bit integers come as doubles. */
export type VoxelArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

/** The types `writeVolume` can store. */
export type StoredType = 'int8' | 'uint8' | 'int16' | 'uint16' | 'int32' | 'uint32' | 'float32' | 'float64';
export type ComponentType = StoredType | 'int64' | 'uint64';

interface ArrayType<A> {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): A;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): A;
}

/** The array of each type. Zarr and NIfTI use the same names. */
const storedArrays: Readonly<Record<StoredType, ArrayType<VoxelArray>>> = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  float32: Float32Array,
  float64: Float64Array,
};
const componentArrays = { ...storedArrays, int64: BigInt64Array, uint64: BigUint64Array };

export const storedTypes = Object.keys(storedArrays) as readonly StoredType[];

export function componentBytes(type: ComponentType): number {
  return componentArrays[type].BYTES_PER_ELEMENT;
}

/** The type of an array's components. */
export function typeOf(data: VoxelArray): StoredType {
  return storedTypes.find((type) => data instanceof storedArrays[type])!;
}

/** An array of `length` components; 64-bit integers are kept as doubles, exact up to 2^53. */
export function allocate(type: ComponentType, length: number): VoxelArray {
  return new storedArrays[type === 'int64' || type === 'uint64' ? 'float64' : type](length);
}

/** The components in `bytes`, little-endian. `bytes` starts at a multiple of 8. */
export function componentsOf(
  type: ComponentType,
  bytes: Uint8Array,
): VoxelArray | BigInt64Array | BigUint64Array {
  const arrays: Record<ComponentType, ArrayType<ReturnType<typeof componentsOf>>> = componentArrays;
  return new arrays[type](bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / componentBytes(type)));
}

/** Reverses the bytes of every component, in place. */
export function swapBytes(bytes: Uint8Array, componentSize: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (componentSize === 2) buffer.swap16();
  else if (componentSize === 4) buffer.swap32();
  else if (componentSize === 8) buffer.swap64();
}

/** One of NIfTI's data types: the parts of a voxel. */
export interface Datatype {
  readonly code: number;
  readonly name: string;
  /** Type of one component; undefined if JavaScript has no such number (80 or 128 bits). */
  readonly component: ComponentType | undefined;
  /** Names of a voxel's components; the one component of a plain number has no name. */
  readonly channels: readonly string[];
}

const number = (code: number, component: ComponentType): Datatype => ({
  code,
  name: component,
  component,
  channels: [''],
});
const complex = (code: number, name: string, component: ComponentType | undefined): Datatype => ({
  code,
  name,
  component,
  channels: ['real', 'imaginary'],
});

/** NIfTI's data types by code (nifti1.h). */
export const datatypes: readonly Datatype[] = [
  number(2, 'uint8'),
  number(4, 'int16'),
  number(8, 'int32'),
  number(16, 'float32'),
  number(64, 'float64'),
  number(256, 'int8'),
  number(512, 'uint16'),
  number(768, 'uint32'),
  number(1024, 'int64'),
  number(1280, 'uint64'),
  complex(32, 'complex64', 'float32'),
  complex(1792, 'complex128', 'float64'),
  complex(2048, 'complex256', undefined),
  { code: 1536, name: 'float128', component: undefined, channels: [''] },
  { code: 128, name: 'RGB24', component: 'uint8', channels: ['red', 'green', 'blue'] },
  { code: 2304, name: 'RGBA32', component: 'uint8', channels: ['red', 'green', 'blue', 'alpha'] },
];
