import { InvalidArgument, UnreadableFile } from '../errors';
import {
  type Components,
  type ComponentType,
  componentBytes,
  datatypes,
  type VoxelArray,
} from './base/datatypes';
import type { VolumeHeader } from './formats/header';

/** The bytes of a voxel in the file, and the wanted component. */
export interface Layout {
  readonly type: ComponentType;
  readonly channels: number;
  readonly channel: number;
  readonly voxelBytes: number;
}

/**
 * The layout of a file's voxels. Throws InvalidArgument if voxels have several components and `channel` names none of
 * them, UnreadableFile for 80-bit and 128-bit floats.
 */
export function voxelLayout(header: VolumeHeader, path: string, channel: string | undefined): Layout {
  const { name, component, channels } = datatypes.find((known) => known.name === header.datatype)!;
  if (!component) {
    throw new UnreadableFile(path, 'numbers of at most 64 bits', `${name}, a type that JavaScript lacks`);
  }
  const at = channels.indexOf(channel ?? '');
  if (at < 0) {
    if (channels.length > 1)
      throw new InvalidArgument('channel', `a component of ${name} voxels`, channel, channels);
    throw new InvalidArgument('channel', `none, because ${name} voxels have one component`, channel);
  }
  return {
    type: component,
    channels: channels.length,
    channel: at,
    voxelBytes: componentBytes(component) * channels.length,
  };
}

/** Divisible by 2, 3 and 4 components, so that no voxel is split. */
const blockLength = 12 * 1024;
const block = new Float64Array(blockLength);

/** Writes the wanted component of all voxels, scaled in double precision and rounded once, to `target` from `at` on. */
export function convert(
  source: Components,
  target: VoxelArray,
  at: number,
  { channels, channel }: Layout,
  { slope, intercept }: Pick<VolumeHeader, 'slope' | 'intercept'>,
): void {
  if (slope === 1 && intercept === 0 && channels === 1 && !isBig(source)) {
    if (source !== target) target.set(source, at);
    return;
  }
  for (let from = 0; from < source.length; from += blockLength) {
    const part = source.subarray(from, from + blockLength);
    toDoubles(part, block);
    const voxels = part.length / channels;
    if (target instanceof Float32Array) scaleInto32(target, at, voxels, channels, channel, slope, intercept);
    else for (let n = 0; n < voxels; n++) target[at + n] = block[n * channels + channel]! * slope + intercept;
    at += voxels;
  }
}

/** A loop of its own for one array type. A loop over eight types would be slow: V8's inline caches hold four. */
function scaleInto32(
  target: Float32Array,
  at: number,
  voxels: number,
  channels: number,
  channel: number,
  slope: number,
  intercept: number,
): void {
  for (let n = 0; n < voxels; n++) target[at + n] = block[n * channels + channel]! * slope + intercept;
}

function toDoubles(source: Components, target: Float64Array): void {
  if (!isBig(source)) target.set(source);
  else for (let n = 0; n < source.length; n++) target[n] = Number(source[n]!);
}

function isBig(array: Components): array is BigInt64Array | BigUint64Array {
  return array instanceof BigInt64Array || array instanceof BigUint64Array;
}
