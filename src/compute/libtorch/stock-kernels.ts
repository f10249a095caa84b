/**
 * tfjs's own kernels on libtorch: those that models, losses and optimisers use, and similar ones. Our own ops replace
 * convolution. Training needs no kernels for pooling, images, sparse tensors or strings: `host-kernels.ts` has them.
 */
import * as tf from '@tensorflow/tfjs-core';
import { loadHostKernels } from './host-kernels';
import type { LibtorchTensors } from './tensors';
import { codeOf } from './tensors';

type Info = tf.TensorInfo;
/** The inputs of kernels by tfjs's names; each kernel has some of them. */
type Inputs = Record<'x' | 'a' | 'b' | 't' | 'e' | 'condition' | 'input' | 'indices' | 'value', Info>;
type Masks = 'beginMask' | 'endMask' | 'ellipsisMask' | 'newAxisMask' | 'shrinkAxisMask';
/** Their attributes by tfjs's names; each kernel has some of them. */
interface Attributes
  extends Record<'alpha' | 'clipValueMin' | 'clipValueMax' | 'value' | 'dim' | 'constantValue', number>,
    Record<'depth' | 'onValue' | 'offValue' | 'start' | 'stop' | 'step' | 'batchDims' | Masks, number>,
    Record<'shape' | 'perm' | 'begin' | 'size' | 'end' | 'strides' | 'reps' | 'dims', number[]> {
  readonly axis: number;
  readonly reductionIndices: number;
  readonly dtype: string | undefined;
  readonly numOrSizeSplits: number | number[];
  readonly paddings: readonly [number, number][];
  readonly keepDims: boolean;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}
export type Run = (inputs: Inputs, attributes: Attributes) => Info | Info[];

/**
 * Registers the kernels under the backend's tfjs name. Those that are not here, and all on strings, run on the host.
 * @returns the names of those that always do.
 */
export async function registerStockKernels(backendName: string, tensors: LibtorchTensors): Promise<string[]> {
  const host = await loadHostKernels(tensors);
  const kernels: Partial<Record<string, Run>> = {
    ...pointwise(tensors),
    ...shapes(tensors, host),
    ...reductions(tensors),
  };
  for (const kernelName of new Set([...Object.keys(kernels), ...host.keys()])) {
    const [own, other] = [kernels[kernelName], host.get(kernelName)];
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs = {} }) => {
        const strings =
          attrs.dtype === 'string' || Object.values(inputs).some((x) => (x as Info)?.dtype === 'string');
        const run = own && !(strings && other) ? own : other!;
        return run(inputs as Inputs, attrs as unknown as Attributes);
      },
    });
  }
  return [...host.keys()].filter((name) => !(name in kernels)).sort();
}

function pointwise(tensors: LibtorchTensors): Record<string, Run> {
  const { native } = tensors;
  const kernels: Record<string, Run> = {
    LeakyRelu({ x }, { alpha }) {
      if (x.dtype === 'float32') return native.leakyRelu(x, alpha);
      return tensors.consume(native.cast(x, codeOf()), (floats) => native.leakyRelu(floats, alpha));
    },
    Step: ({ x }, { alpha }) => native.step(x, alpha),
    ClipByValue: ({ x }, { clipValueMin, clipValueMax }) => native.clip(x, clipValueMin, clipValueMax),
    Select: ({ condition, t, e }) => native.select(condition, t, e),
    Cast: ({ x }, { dtype }) => (x.dtype === dtype ? tensors.share(x) : native.cast(x, codeOf(dtype))),
    Fill: (_inputs, { shape, value, dtype }) => native.fill(shape, Number(value), codeOf(dtype)),
    Identity: ({ x }) => tensors.share(x),
  };
  for (const [name, compute] of Object.entries(native.unary)) kernels[name] = ({ x }) => compute(x);
  for (const [name, compute] of Object.entries(native.binary)) {
    const withNumber = native.withNumber[name];
    const commutes = name === 'Add' || name === 'Multiply';
    kernels[name] = ({ a, b }) => {
      const [left, right] = [tensors.numberOf(a), tensors.numberOf(b)];
      if (withNumber && right !== undefined && a.shape.length > 0) return withNumber(a, right);
      if (withNumber && commutes && left !== undefined && b.shape.length > 0) return withNumber(b, left);
      return compute(a, b);
    };
  }
  return kernels;
}

function shapes(tensors: LibtorchTensors, host: ReadonlyMap<string, Run>): Record<string, Run> {
  const { native } = tensors;
  const axisOf = (axis: number, shape: number[]) => tf.util.parseAxisParam(axis, shape)[0]!;
  const split = (x: Info, sizes: number[], axis: number) => {
    let start = 0;
    return sizes.map((size) => {
      const begin = x.shape.map((_, i) => (i === axis ? start : 0));
      start += size;
      return native.slice(x, begin, x.shape.with(axis, size));
    });
  };
  return {
    Reshape: ({ x }, { shape }) =>
      native.reshape(x, tf.util.inferFromImplicitShape(shape, tf.util.sizeFromShape(x.shape))),
    ExpandDims({ input }, { dim }) {
      const shape = [...input.shape];
      const { length } = shape;
      tf.util.assert(dim <= length && dim >= -(length + 1), () => `no axis ${dim} in [${shape}]`);
      shape.splice(dim < 0 ? dim + length + 1 : dim, 0, 1);
      return native.reshape(input, shape);
    },
    Transpose: ({ x }, { perm }) => native.transpose(x, perm),
    Slice({ x }, { begin, size }) {
      const [from, lengths] = tf.slice_util.parseSliceParams(x as tf.Tensor, begin, size);
      return native.slice(x, from!, lengths!);
    },
    StridedSlice({ x }, { begin, end, strides, ...masks }) {
      const { beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = masks;
      const plan = tf.slice_util.sliceInfo(
        x.shape,
        begin,
        end,
        strides,
        beginMask,
        endMask,
        ellipsisMask,
        newAxisMask,
        shrinkAxisMask,
      );
      const dense = native.stridedSlice(x, plan.begin, plan.end, plan.strides);
      return tensors.consume(dense, (y) => native.reshape(y, plan.finalShape));
    },
    Concat(inputs, { axis }) {
      const all = Object.values(inputs);
      return native.concat(all, axisOf(axis, all[0]!.shape));
    },
    Pack(inputs, { axis }) {
      const all = Object.values(inputs);
      const first = all[0]!;
      for (const { shape, dtype } of all)
        tf.util.assert(
          dtype === first.dtype && tf.util.arraysEqual(shape, first.shape),
          () => `stack: ${dtype} [${shape}] beside ${first.dtype} [${first.shape}]`,
        );
      return native.stack(all, axis < 0 ? axis + first.shape.length + 1 : axis);
    },
    Unpack({ value }, { axis }) {
      const at = axisOf(axis, value.shape);
      const shape = value.shape.filter((_, i) => i !== at);
      const parts = split(value, new Array<number>(value.shape[at]!).fill(1), at);
      return parts.map((part) => tensors.consume(part, (part) => native.reshape(part, shape)));
    },
    SplitV({ x }, { numOrSizeSplits, axis }) {
      const at = axisOf(axis, x.shape);
      return split(x, tf.backend_util.prepareSplitSize(x as tf.Tensor, numOrSizeSplits, at), at);
    },
    Tile: ({ x }, { reps }) => native.tile(x, reps),
    BroadcastTo: ({ x }, { shape }) => native.expand(x, shape),
    Reverse: ({ x }, { dims }) => native.reverse(x, tf.util.parseAxisParam(dims, x.shape)),
    PadV2: ({ x }, { paddings, constantValue }) =>
      native.pad(x, [...paddings].reverse().flat(), constantValue),
    GatherV2(inputs, attributes) {
      const [{ x, indices }, { axis, batchDims }] = [inputs, attributes];
      if (batchDims) return host.get('GatherV2')!(inputs, attributes);
      return native.gather(x, indices, axisOf(axis, x.shape));
    },
    OneHot: ({ indices }, { depth, onValue, offValue, dtype }) =>
      native.oneHot(indices, depth, onValue, offValue, codeOf(dtype)),
    Range(_inputs, { start, stop, step, dtype }) {
      // As in tfjs: without a step it counts down by one, and a step in the wrong direction gives nothing.
      const by = stop < start && step === 1 ? -1 : step;
      const count = Math.max(0, Math.ceil((stop - start) / by));
      const values = dtype === 'int32' ? new Int32Array(count) : new Float32Array(count);
      for (let i = 0; i < count; i++) values[i] = start + i * by;
      return native.fromArray(values, [count], codeOf(dtype));
    },
  };
}

function reductions(tensors: LibtorchTensors): Record<string, Run> {
  const { native } = tensors;
  const kernels: Record<string, Run> = {
    BatchMatMul({ a, b }, { transposeA, transposeB }) {
      for (const { shape } of [a, b])
        tf.util.assert(shape.length > 1, () => `matMul: expected matrices, received [${shape}]`);
      return native.matMul(a, b, !!transposeA, !!transposeB);
    },
  };
  for (const [name, reduce] of Object.entries(native.reduce))
    kernels[name] = ({ x }, { axis, reductionIndices, keepDims }) => {
      // tfjs has another name for the axes of Max only.
      const axes = tf.util.parseAxisParam(axis ?? reductionIndices ?? null, x.shape);
      if (!name.startsWith('Arg')) return reduce(x, axes, !!keepDims);
      if (x.dtype === 'int32') return reduce(x, axes, false);
      return tensors.consume(comparable(tensors, x, name), (y) => reduce(y, axes, false));
    };
  return kernels;
}

/** x for ArgMax or ArgMin: without bools, which torch cannot compare, and without NaN, which torch takes for the largest. */
function comparable(tensors: LibtorchTensors, x: Info, name: string): Info {
  const { native } = tensors;
  if (x.dtype === 'bool') return native.cast(x, codeOf('int32'));
  const worst = name === 'ArgMax' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return tensors.consume(native.unary.IsNan!(x), (nan) =>
    tensors.consume(native.fill([], worst, codeOf()), (filler) => native.select(nan, filler, x)),
  );
}
