/** Joins backends to tfjs: which are there, which one is current, and how an op reaches its kernel. */
import * as tf from '@tensorflow/tfjs-core';
import { UnavailableBackend } from '../../errors';
import type { Backend, Kernels, OptimiserKernels, Precision } from './backend';

type AllKernels = Kernels & Pick<OptimiserKernels, 'adam' | 'sumByCode'>;

/** The tensors that each kernel takes, in order, by the names under which the tape keeps them. */
const inputsOf = {
  convolve: ['x', 'w', 'bias'],
  convolveInputGradient: ['dy', 'w'],
  convolveWeightGradient: ['x', 'dy'],
  channelSums: ['dy'],
  groupNorm: ['x', 'gamma', 'beta'],
  normalise: ['x', 'gamma', 'beta', 'mean', 'scale'],
  groupNormGradient: ['dy', 'x', 'gamma', 'beta', 'mean', 'scale'],
  nearestCode: ['z', 'codebook'],
  adam: ['w', 'g', 'm', 'v'],
  sumByCode: ['z', 'codes'],
} as const satisfies Record<keyof AllKernels, readonly string[]>;

type KernelName = keyof typeof inputsOf;
type InputName<Name extends KernelName> = (typeof inputsOf)[Name][number];
type Result<Name extends KernelName> =
  ReturnType<AllKernels[Name]> extends tf.TensorInfo[] ? tf.Tensor[] : tf.Tensor;
type Run = (...args: unknown[]) => tf.TensorInfo | tf.TensorInfo[];

const prefix = 'Patchwise.';

/** The name by which tfjs knows a kernel of ours. */
export const tfjsName = (name: KernelName): string => prefix + name;

export const isOurs = (kernelName: string): boolean => kernelName.startsWith(prefix);

const registered = new Map<string, Backend>();

/** Gives tfjs a backend's kernels, after which it can become current. */
export function registerBackend(backend: Backend): void {
  registered.set(backend.name, backend);
  const kernels = { ...backend.kernels, ...backend.optimiser } as Partial<Record<KernelName, Run>>;
  for (const name of Object.keys(inputsOf) as KernelName[]) {
    if (!kernels[name]) continue;
    tf.registerKernel({
      kernelName: tfjsName(name),
      backendName: backend.name,
      kernelFunc: ({ inputs, attrs }) =>
        kernels[name]!(...inputsOf[name].map((input) => inputs[input]), attrs),
    });
  }
}

/** The backend that computes. @throws UnavailableBackend before `useBackend` */
export function currentBackend(): Backend {
  const name = tf.getBackend();
  const backend = registered.get(name);
  if (!backend) throw new UnavailableBackend(name, 'it is not loaded', 'Call useBackend first');
  return backend;
}

/**
 * Sets how the current backend computes from now on. With `bf16` activations take half the memory; weights, norm
 * statistics, the optimiser, latents and losses stay float32, and so do tensors to whoever reads them. With `tf32`
 * convolutions round what they multiply, and nothing else changes.
 *
 * @throws UnavailableBackend for a precision that the backend does not have on its device.
 */
export function setPrecision(precision: Precision): void {
  const backend = currentBackend();
  if (!backend.precisions.includes(precision)) {
    const where = precision === 'tf32' ? ' on an NVIDIA GPU' : '';
    const cure = `Use precision float32, or backend libtorch${where} (\`npx patchwise backend build libtorch\`)`;
    throw new UnavailableBackend(backend.name, `it has no ${precision} on ${backend.device}`, cure);
  }
  backend.setPrecision?.(precision);
}

/** Runs a kernel on the current backend, on the tape. */
export function runKernel<Name extends KernelName>(
  name: Name,
  inputs: { readonly [input in InputName<Name>]?: tf.Tensor },
  attributes: object = {},
): Result<Name> {
  const given = inputs as unknown as tf.NamedTensorMap;
  return tf.engine().runKernel(tfjsName(name), given, attributes as tf.NamedAttrMap) as Result<Name>;
}
