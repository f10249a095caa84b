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

export type ComponentType =
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'float32'
  | 'float64'
  | 'int64'
  | 'uint64';

/** The types `writeVolume` can store. */
export type StoredType = Exclude<ComponentType, 'int64' | 'uint64'>;

/** One of NIfTI's data types: what a voxel is made of. */
export interface Datatype {
  readonly code: number;
  readonly name: string;
  /** Type of one component; undefined where JavaScript has none (80 or 128 bits). */
  readonly component: ComponentType | undefined;
  /** Names of the components of a voxel; a plain number has one, without a name. */
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

export const componentBytes: Readonly<Record<ComponentType, number>> = {
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  float32: 4,
  float64: 8,
  int64: 8,
  uint64: 8,
};

/** An array of `length` components; 64-bit integers are kept as doubles, exact up to 2^53. */
export function allocate(type: ComponentType, length: number): VoxelArray {
  switch (type) {
    case 'int8':
      return new Int8Array(length);
    case 'uint8':
      return new Uint8Array(length);
    case 'int16':
      return new Int16Array(length);
    case 'uint16':
      return new Uint16Array(length);
    case 'int32':
      return new Int32Array(length);
    case 'uint32':
      return new Uint32Array(length);
    case 'float32':
      return new Float32Array(length);
    case 'float64':
    case 'int64':
    case 'uint64':
      return new Float64Array(length);
  }
}

/** The components that lie in `bytes`, which starts at a multiple of 8, in this machine's (little) byte order. */
export function componentsOf(
  type: ComponentType,
  bytes: Uint8Array,
): VoxelArray | BigInt64Array | BigUint64Array {
  const { buffer, byteOffset } = bytes;
  const length = Math.floor(bytes.length / componentBytes[type]);
  switch (type) {
    case 'int8':
      return new Int8Array(buffer, byteOffset, length);
    case 'uint8':
      return new Uint8Array(buffer, byteOffset, length);
    case 'int16':
      return new Int16Array(buffer, byteOffset, length);
    case 'uint16':
      return new Uint16Array(buffer, byteOffset, length);
    case 'int32':
      return new Int32Array(buffer, byteOffset, length);
    case 'uint32':
      return new Uint32Array(buffer, byteOffset, length);
    case 'float32':
      return new Float32Array(buffer, byteOffset, length);
    case 'float64':
      return new Float64Array(buffer, byteOffset, length);
    case 'int64':
      return new BigInt64Array(buffer, byteOffset, length);
    case 'uint64':
      return new BigUint64Array(buffer, byteOffset, length);
  }
}

/** Reverses the bytes of every component, in place. */
export function swapBytes(bytes: Uint8Array, componentSize: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (componentSize === 2) buffer.swap16();
  else if (componentSize === 4) buffer.swap32();
  else if (componentSize === 8) buffer.swap64();
}
