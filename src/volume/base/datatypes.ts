interface ArrayType<A> {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): A;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): A;
}

/** The array of each type that `writeVolume` can store. Zarr and NIfTI use the same names. */
const storedArrays = {
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

export type StoredType = keyof typeof storedArrays;
export type ComponentType = keyof typeof componentArrays;
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
export type Components = VoxelArray | BigInt64Array | BigUint64Array;

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
export function componentsOf(type: ComponentType, bytes: Uint8Array): Components {
  const array: ArrayType<Components> = componentArrays[type];
  return new array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / componentBytes(type)));
}

/** Reverses the bytes of every component, in place. */
export function swapBytes(bytes: Uint8Array, componentSize: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (componentSize === 2) buffer.swap16();
  else if (componentSize === 4) buffer.swap32();
  else if (componentSize === 8) buffer.swap64();
}

/**
 * One of NIfTI's data types (nifti1.h): its code, its name, the type of one component, and the names of a voxel's
 * components. JavaScript has no numbers of 80 or 128 bits. The one component of a plain number has no name.
 */
interface Datatype {
  readonly code: number;
  readonly name: string;
  readonly component: ComponentType | undefined;
  readonly channels: readonly string[];
}

const complex = ['real', 'imaginary'];
const colours = ['red', 'green', 'blue', 'alpha'];

export const datatypes: readonly Datatype[] = (
  [
    [2, 'uint8', 'uint8'],
    [4, 'int16', 'int16'],
    [8, 'int32', 'int32'],
    [16, 'float32', 'float32'],
    [64, 'float64', 'float64'],
    [256, 'int8', 'int8'],
    [512, 'uint16', 'uint16'],
    [768, 'uint32', 'uint32'],
    [1024, 'int64', 'int64'],
    [1280, 'uint64', 'uint64'],
    [32, 'complex64', 'float32', complex],
    [1792, 'complex128', 'float64', complex],
    [2048, 'complex256', undefined, complex],
    [1536, 'float128', undefined],
    [128, 'RGB24', 'uint8', colours.slice(0, 3)],
    [2304, 'RGBA32', 'uint8', colours],
  ] as const
).map(([code, name, component, channels = ['']]) => ({ code, name, component, channels }));
