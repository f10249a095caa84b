/**
 * tfjs's own kernels on libtorch: those that models, losses and optimisers use, and similar ones. Our own ops replace
 * convolution. Training needs no kernels for pooling, images, sparse tensors or strings: `host-kernels.ts` has them.
 */
import * as tf from '@tensorflow/tfjs-core';
import { loadHostKernels } from './host-kernels';
import type { LibtorchTensors } from './tensors';
import { codeOf } from './tensors';

type Inputs = Record<string, tf.TensorInfo>;
type Attributes = Record<string, unknown>;
export type Run = (inputs: Inputs, attributes: Attributes) => tf.TensorInfo | tf.TensorInfo[];

/**
 * Registers the kernels under the backend's tfjs name; those that are not here, and all on strings, run on the host.
 *
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
      kernelFunc: ({ inputs: given, attrs: attributes }) => {
        const [inputs, attrs] = [given as Inputs, (attributes ?? {}) as Attributes];
        const strings = attrs.dtype === 'string' || Object.values(inputs).some((x) => x?.dtype === 'string');
        const run = own && !(strings && other) ? own : other!;
        return run(inputs, attrs as tf.NamedAttrMap & Attributes);
      },
    });
  }
  return [...host.keys()].filter((name) => !(name in kernels)).sort();
}

function pointwise(tensors: LibtorchTensors): Record<string, Run> {
  const { addon } = tensors;
  const handle = (tensor: tf.TensorInfo | undefined) => tensors.handle(tensor!);
  const cast = (x: tf.TensorInfo, dtype: string) => {
    addon.cast(handle(x), codeOf(dtype));
    return tensors.made();
  };
  const kernels: Record<string, Run> = {
    LeakyRelu({ x }, { alpha }) {
      const floats = x!.dtype === 'float32' ? undefined : cast(x!, 'float32');
      addon.leakyRelu(handle(floats ?? x), alpha as number);
      const y = tensors.made();
      if (floats) tensors.disposeData(floats.dataId);
      return y;
    },
    Step({ x }, { alpha }) {
      addon.step(handle(x), alpha as number);
      return tensors.made();
    },
    ClipByValue({ x }, { clipValueMin, clipValueMax }) {
      addon.clip(handle(x), clipValueMin as number, clipValueMax as number);
      return tensors.made();
    },
    Select({ condition, t, e }) {
      addon.select(handle(condition), handle(t), handle(e));
      return tensors.made();
    },
    Cast({ x }, { dtype }) {
      return x!.dtype === dtype ? tensors.share(x!) : cast(x!, dtype as string);
    },
    Fill(_inputs, { shape, value, dtype }) {
      addon.fill(shape as number[], Number(value), codeOf((dtype as string | undefined) ?? 'float32'));
      return tensors.made();
    },
    Identity: ({ x }) => tensors.share(x!),
  };
  for (const [name, compute] of Object.entries(addon.unary)) {
    kernels[name] = ({ x }) => {
      compute(handle(x));
      return tensors.made();
    };
  }
  for (const [name, compute] of Object.entries(addon.binary)) {
    const withNumber = addon.withNumber[name];
    const commutes = name === 'Add' || name === 'Multiply';
    kernels[name] = ({ a, b }) => {
      const [left, right] = [tensors.numberOf(a!), tensors.numberOf(b!)];
      if (withNumber && right !== undefined && a!.shape.length > 0) withNumber(handle(a), right);
      else if (withNumber && commutes && left !== undefined && b!.shape.length > 0)
        withNumber(handle(b), left);
      else compute(handle(a), handle(b));
      return tensors.made();
    };
  }
  return kernels;
}

function shapes(tensors: LibtorchTensors, host: ReadonlyMap<string, Run>): Record<string, Run> {
  const { addon } = tensors;
  const handle = (tensor: tf.TensorInfo | undefined) => tensors.handle(tensor!);
  const axisOf = (axis: unknown, shape: number[]) => tf.util.parseAxisParam(axis as number, shape)[0]!;
  const reshape = (x: tf.TensorInfo, shape: number[]) => {
    addon.reshape(handle(x), shape);
    return tensors.made();
  };
  const slice = (x: tf.TensorInfo, begin: number[], size: number[]) => {
    addon.slice(handle(x), begin, size);
    return tensors.made();
  };
  const split = (x: tf.TensorInfo, sizes: number[], axis: number) => {
    let start = 0;
    return sizes.map((size) => {
      const begin = x.shape.map((_, i) => (i === axis ? start : 0));
      start += size;
      return slice(
        x,
        begin,
        x.shape.map((length, i) => (i === axis ? size : length)),
      );
    });
  };
  return {
    Reshape: ({ x }, { shape }) =>
      reshape(x!, tf.util.inferFromImplicitShape(shape as number[], tf.util.sizeFromShape(x!.shape))),
    ExpandDims({ input }, { dim }) {
      const shape = [...input!.shape];
      const at = dim as number;
      tf.util.assert(at <= shape.length && at >= -(shape.length + 1), () => `no axis ${at} in [${shape}]`);
      shape.splice(at < 0 ? at + shape.length + 1 : at, 0, 1);
      return reshape(input!, shape);
    },
    Transpose({ x }, { perm }) {
      addon.transpose(handle(x), perm as number[]);
      return tensors.made();
    },
    Slice({ x }, { begin, size }) {
      const [from, lengths] = tf.slice_util.parseSliceParams(
        x as tf.Tensor,
        begin as number[],
        size as number[],
      );
      return slice(x!, from!, lengths!);
    },
    StridedSlice({ x }, a) {
      const masks = [a.beginMask, a.endMask, a.ellipsisMask, a.newAxisMask, a.shrinkAxisMask] as number[];
      const [begin, end, strides] = [a.begin, a.end, a.strides] as number[][];
      const plan = tf.slice_util.sliceInfo(
        x!.shape,
        begin!,
        end!,
        strides!,
        ...(masks as [number, number, number, number, number]),
      );
      addon.stridedSlice(handle(x), plan.begin, plan.end, plan.strides);
      const dense = tensors.made();
      const shaped = reshape(dense, plan.finalShape);
      tensors.disposeData(dense.dataId);
      return shaped;
    },
    Concat(inputs, { axis }) {
      const all = Object.values(inputs);
      const at = axisOf(axis, all[0]!.shape);
      addon.concat(all.map(handle), at);
      return tensors.made();
    },
    Pack(inputs, { axis }) {
      const all = Object.values(inputs);
      const at = axis as number;
      const first = all[0]!;
      for (const { shape, dtype } of all)
        tf.util.assert(
          dtype === first.dtype && tf.util.arraysEqual(shape, first.shape),
          () => `stack: ${dtype} [${shape}] beside ${first.dtype} [${first.shape}]`,
        );
      addon.stack(all.map(handle), at < 0 ? at + all[0]!.shape.length + 1 : at);
      return tensors.made();
    },
    Unpack({ value }, { axis }) {
      const at = axisOf(axis, value!.shape);
      const sizes = new Array<number>(value!.shape[at]!).fill(1);
      return split(value!, sizes, at).map((part) => {
        const shaped = reshape(
          part,
          part.shape.filter((_, i) => i !== at),
        );
        tensors.disposeData(part.dataId);
        return shaped;
      });
    },
    SplitV({ x }, { numOrSizeSplits, axis }) {
      const at = axisOf(axis, x!.shape);
      return split(x!, tf.backend_util.prepareSplitSize(x as tf.Tensor, numOrSizeSplits as number[], at), at);
    },
    Tile({ x }, { reps }) {
      addon.tile(handle(x), reps as number[]);
      return tensors.made();
    },
    BroadcastTo({ x }, { shape }) {
      addon.expand(handle(x), shape as number[]);
      return tensors.made();
    },
    Reverse({ x }, { dims }) {
      addon.reverse(handle(x), tf.util.parseAxisParam(dims as number[], x!.shape));
      return tensors.made();
    },
    PadV2({ x }, { paddings, constantValue }) {
      const pads = [...(paddings as [number, number][])].reverse().flat();
      addon.pad(handle(x), pads, constantValue as number);
      return tensors.made();
    },
    GatherV2(inputs, attributes) {
      const [{ x, indices }, { axis, batchDims }] = [inputs, attributes];
      if (batchDims) return host.get('GatherV2')!(inputs, attributes);
      addon.gather(handle(x), handle(indices), axisOf(axis, x!.shape));
      return tensors.made();
    },
    OneHot({ indices }, { depth, onValue, offValue, dtype }) {
      const code = codeOf((dtype as string | undefined) ?? 'float32');
      addon.oneHot(handle(indices), depth as number, onValue as number, offValue as number, code);
      return tensors.made();
    },
    Range(_inputs, { start, stop, step, dtype }) {
      const [from, to] = [start as number, stop as number];
      // As in tfjs: without a step it counts down by one, and a step in the wrong direction gives nothing.
      const by = to < from && step === 1 ? -1 : (step as number);
      const count = Math.max(0, Math.ceil((to - from) / by));
      const values = dtype === 'int32' ? new Int32Array(count) : new Float32Array(count);
      for (let i = 0; i < count; i++) values[i] = from + i * by;
      addon.fromArray(values, [count], codeOf((dtype as string | undefined) ?? 'float32'));
      return tensors.made();
    },
  };
}

function reductions(tensors: LibtorchTensors): Record<string, Run> {
  const { addon } = tensors;
  const kernels: Record<string, Run> = {
    BatchMatMul({ a, b }, { transposeA, transposeB }) {
      for (const { shape } of [a!, b!])
        tf.util.assert(shape.length > 1, () => `matMul: expected matrices, received [${shape}]`);
      addon.matMul(tensors.handle(a!), tensors.handle(b!), !!transposeA, !!transposeB);
      return tensors.made();
    },
  };
  for (const [name, compute] of Object.entries(addon.reduce)) {
    const reduce = (x: tf.TensorInfo, axes: number[], keep: boolean) => {
      compute(tensors.handle(x), axes, keep);
      return tensors.made();
    };
    kernels[name] = ({ x }, { axis, reductionIndices, keepDims }) => {
      // tfjs has another name for the axes of Max only.
      const axes = tf.util.parseAxisParam((axis ?? reductionIndices ?? null) as number[], x!.shape);
      return name.startsWith('Arg')
        ? withComparable(tensors, x!, name, (y) => reduce(y, axes, false))
        : reduce(x!, axes, !!keepDims);
    };
  }
  return kernels;
}

/** Runs ArgMax or ArgMin without bools, which torch cannot compare, and without NaN, which torch takes for the largest. */
function withComparable(
  tensors: LibtorchTensors,
  x: tf.TensorInfo,
  name: string,
  run: (x: tf.TensorInfo) => tf.TensorInfo,
): tf.TensorInfo {
  const { addon } = tensors;
  if (x.dtype === 'int32') return run(x);
  const made: tf.TensorInfo[] = [];
  const keep = () => {
    made.push(tensors.made());
    return tensors.handle(made.at(-1)!);
  };
  if (x.dtype === 'bool') addon.cast(tensors.handle(x), codeOf('int32'));
  else {
    addon.unary.IsNan!(tensors.handle(x));
    const nan = keep();
    addon.fill(
      [],
      name === 'ArgMax' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY,
      codeOf('float32'),
    );
    addon.select(nan, keep(), tensors.handle(x));
  }
  keep();
  const y = run(made.at(-1)!);
  for (const { dataId } of made) tensors.disposeData(dataId);
  return y;
}
