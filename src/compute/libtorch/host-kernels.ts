/**
 * tfjs's kernels that libtorch's side lacks. tfjs's own cpu backend runs them in JavaScript on the host: slowly, but fast
 * enough for an odd image, pooling or string operation in a notebook. Training uses none of them.
 */
import * as tf from '@tensorflow/tfjs-core';
import { isOurs } from '../contract/registry';
import type { Run } from './stock-kernels';
import type { LibtorchTensors } from './tensors';

/** What we use of tfjs's cpu backend. */
interface HostBackend extends tf.KernelBackend {
  makeTensorInfo(shape: number[], dtype: tf.DataType, values: tf.BackendValues): tf.TensorInfo;
}

/** Kernels of complex numbers; libtorch's side has no type for them. */
const COMPLEX = ['Complex', 'ComplexAbs', 'FFT', 'IFFT', 'Imag', 'Real'];

/** Kernels on the host by their names, without those of complex numbers. */
export async function loadHostKernels(tensors: LibtorchTensors): Promise<ReadonlyMap<string, Run>> {
  await import('@tensorflow/tfjs-backend-cpu');
  const host = tf.findBackend('cpu') as HostBackend;
  const kernels = tf.getKernelsForBackend('cpu').filter(({ kernelName }) => !COMPLEX.includes(kernelName));
  return new Map(
    kernels
      .filter(({ kernelName }) => !isOurs(kernelName))
      .map((kernel) => [kernel.kernelName, onHost(kernel, host, tensors)]),
  );
}

function onHost(kernel: tf.KernelConfig, host: HostBackend, tensors: LibtorchTensors): Run {
  return (inputs, attrs) => {
    const held: tf.TensorInfo[] = [];
    const toHost = ({ dataId, shape, dtype }: tf.TensorInfo): tf.TensorInfo => {
      const info = host.makeTensorInfo(shape, dtype, tensors.readSync(dataId));
      held.push(info);
      // Some kernels look at the rank, as tensors have it.
      return Object.assign(info, { rank: shape.length });
    };
    /** Kernels take tensors by name, in a list, or lists of them by name. */
    const move = (given: unknown): unknown => {
      if (Array.isArray(given)) return given.map(move);
      return given && toHost(given as tf.TensorInfo);
    };
    try {
      const moved = Array.isArray(inputs)
        ? move(inputs)
        : Object.fromEntries(Object.entries(inputs).map(([name, given]) => [name, move(given)]));
      const made = kernel.kernelFunc({
        inputs: moved as tf.NamedTensorInfoMap,
        backend: host,
        attrs: attrs as unknown as tf.NamedAttrMap,
      });
      held.push(...[made].flat());
      const back = ({ dataId, shape, dtype }: tf.TensorInfo): tf.TensorInfo => ({
        dataId: tensors.write(host.readSync(dataId), shape, dtype),
        shape,
        dtype,
      });
      return Array.isArray(made) ? made.map(back) : back(made);
    } finally {
      for (const { dataId } of held) host.disposeData(dataId);
    }
  };
}
