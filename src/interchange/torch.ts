/**
 * The layout of PyTorch: a convolution's weight is [out, in, kd, kh, kw] there, a transposed one's [in, out, kd, kh,
 * kw], both [kd, kh, kw, in, out] here; a linear layer's is transposed. Names are the same on both sides.
 */
import type { StoredTensor } from '../safetensors';

/** PyTorch's axis i is our axis `axes[i]`; undefined where the layouts are the same. */
function axesOf(name: string, rank: number): readonly number[] | undefined {
  if (rank === 5) return name.endsWith('.convt.weight') ? [3, 4, 0, 1, 2] : [4, 3, 0, 1, 2];
  return rank === 2 && name.endsWith('_proj.weight') ? [1, 0] : undefined;
}

/** One of our arrays as PyTorch has it. */
export function toTorch(name: string, array: StoredTensor): StoredTensor {
  const axes = axesOf(name, array.shape.length);
  return axes ? permute(array, axes) : array;
}

/** One of PyTorch's arrays as we have it. */
export function fromTorch(name: string, array: StoredTensor): StoredTensor {
  const axes = axesOf(name, array.shape.length);
  return axes ? permute(array, inverse(axes)) : array;
}

function permute({ shape, data }: StoredTensor, axes: readonly number[]): StoredTensor {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, n) => product * n, 1));
  const newShape = axes.map((axis) => shape[axis]!);
  const steps = axes.map((axis) => strides[axis]!);
  const out = new Float32Array(data.length);
  const index = axes.map(() => 0);
  for (let i = 0, from = 0; i < out.length; i++) {
    out[i] = data[from]!;
    for (let axis = axes.length - 1; axis >= 0; axis--) {
      from += steps[axis]!;
      if (++index[axis]! < newShape[axis]!) break;
      from -= steps[axis]! * newShape[axis]!;
      index[axis] = 0;
    }
  }
  return { shape: newShape, data: out };
}

function inverse(axes: readonly number[]): number[] {
  return axes.map((_, i) => axes.indexOf(i));
}
