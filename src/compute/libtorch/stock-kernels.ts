/**
 * tfjs's own kernels on libtorch: those that models, losses and optimisers are written with, and their near kin.
 * Convolution, pooling, images, sparse and string kernels are not here: the ops of this project replace the first,
 * and nothing asks for the others.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { LibtorchTensors } from './tensors';
import { codeOf } from './tensors';

type Inputs = Record<string, tf.TensorInfo>;
type Attributes = Record<string, unknown>;
type Run = (inputs: Inputs, attributes: Attributes) => tf.TensorInfo | tf.TensorInfo[];

/** Registers the kernels under the backend's tfjs name. */
export function registerStockKernels(backendName: string, tensors: LibtorchTensors): void {
  const kernels = { ...pointwise(tensors), ...shapes(tensors), ...reductions(tensors) };
  for (const [kernelName, run] of Object.entries(kernels)) {
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs }) => run(inputs as Inputs, (attrs ?? {}) as Attributes),
    });
  }
}

function pointwise(tensors: LibtorchTensors): Record<string, Run> {
  const { addon } = tensors;
  const handle = (tensor: tf.TensorInfo | undefined) => tensors.handle(tensor!);
  const kernels: Record<string, Run> = {
    LeakyRelu({ x }, { alpha }) {
      addon.leakyRelu(handle(x), alpha as number);
      return tensors.made();
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
      if (x!.dtype === dtype) return tensors.share(x!);
      addon.cast(handle(x), codeOf(dtype as string));
      return tensors.made();
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

function shapes(tensors: LibtorchTensors): Record<string, Run> {
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
    GatherV2({ x, indices }, { axis, batchDims }) {
      if (batchDims) throw new Error('backend libtorch gathers without batch dimensions only');
      addon.gather(handle(x), handle(indices), axisOf(axis, x!.shape));
      return tensors.made();
    },
    OneHot({ indices }, { depth, onValue, offValue, dtype }) {
      const code = codeOf((dtype as string | undefined) ?? 'float32');
      addon.oneHot(handle(indices), depth as number, onValue as number, offValue as number, code);
      return tensors.made();
    },
    Range(_inputs, { start, stop, step, dtype }) {
      const [from, to, by] = [start as number, stop as number, step as number];
      const count = Math.max(0, Math.ceil((to - from) / by));
      const values = Float32Array.from({ length: count }, (_, i) => from + i * by);
      addon.fromArray(values, [count], codeOf((dtype as string | undefined) ?? 'float32'));
      return tensors.made();
    },
  };
}

function reductions(tensors: LibtorchTensors): Record<string, Run> {
  const { addon } = tensors;
  const kernels: Record<string, Run> = {
    BatchMatMul({ a, b }, { transposeA, transposeB }) {
      addon.matMul(tensors.handle(a!), tensors.handle(b!), !!transposeA, !!transposeB);
      return tensors.made();
    },
  };
  for (const [name, compute] of Object.entries(addon.reduce)) {
    kernels[name] = ({ x }, { axis, keepDims }) => {
      const axes = tf.util.parseAxisParam((axis ?? null) as number[], x!.shape);
      compute(tensors.handle(x!), axes, !!keepDims);
      return tensors.made();
    };
  }
  return kernels;
}
