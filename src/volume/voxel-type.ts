import type { StoredType, VoxelArray } from './datatypes';

const types: readonly (readonly [StoredType, { new (length: number): VoxelArray }])[] = [
  ['int8', Int8Array],
  ['uint8', Uint8Array],
  ['int16', Int16Array],
  ['uint16', Uint16Array],
  ['int32', Int32Array],
  ['uint32', Uint32Array],
  ['float32', Float32Array],
  ['float64', Float64Array],
];

/** The name of an array's type, which Zarr shares with NIfTI. */
export function typeOf(data: VoxelArray): StoredType {
  return types.find(([, type]) => data instanceof type)![0];
}
