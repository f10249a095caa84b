import { InvalidArgument, UnreadableFile } from '../errors';
import { type Components, type ComponentType, componentBytes, datatypes, type VoxelArray } from './datatypes';
import type { NiftiHeader } from './header';

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
export function voxelLayout(header: NiftiHeader, path: string, channel: string | undefined): Layout {
  const { name, component, channels } = datatypes.find((known) => known.name === header.datatype)!;
  if (!component) {
    throw new UnreadableFile(path, 'numbers of at most 64 bits', `${name}, a type that JavaScript lacks`);
  }
  const at = channels.indexOf(channel ?? '');
  if (at < 0) {
    const expected =
      channels.length > 1
        ? `a component of ${name} voxels`
        : `none, because ${name} voxels have one component`;
    throw new InvalidArgument('channel', expected, channel, channels.length > 1 ? channels : undefined);
  }
  return {
    type: component,
    channels: channels.length,
    channel: at,
    voxelBytes: componentBytes(component) * channels.length,
  };
}

interface Scaling {
  readonly slope: number;
  readonly intercept: number;
}

/** Writes the wanted component of all voxels, scaled in double precision and rounded once, to `target` from `at` on. */
export function convert(
  source: Components,
  target: VoxelArray,
  at: number,
  layout: Pick<Layout, 'channels' | 'channel'>,
  scaling: Scaling,
): void {
  const { channels, channel } = layout;
  const { slope, intercept } = scaling;
  const plain = slope === 1 && intercept === 0 && channels === 1;
  if (plain && source !== target && !isBig(source)) target.set(source, at);
  if (plain && !isBig(source)) return;
  for (let from = 0; from < source.length; from += blockLength) {
    const part = source.subarray(from, from + blockLength);
    toDoubles(part, block);
    const voxels = part.length / channels;
    if (target instanceof Float32Array) scaleInto32(target, at, voxels, layout, scaling);
    else for (let n = 0; n < voxels; n++) target[at + n] = block[n * channels + channel]! * slope + intercept;
    at += voxels;
  }
}

/** Divisible by 2, 3 and 4 components, so that no voxel is split. */
const blockLength = 12 * 1024;
const block = new Float64Array(blockLength);

/** A loop of its own for one array type. A loop over eight types would be slow: V8's inline caches hold four. */
function scaleInto32(
  target: Float32Array,
  at: number,
  voxels: number,
  { channels, channel }: Pick<Layout, 'channels' | 'channel'>,
  { slope, intercept }: Scaling,
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
