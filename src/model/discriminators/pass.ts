/**
 * Passes through discriminators, layer by layer for all of them at once: where a norm asks what the other ranks have,
 * one exchange serves all. Made by hand and not on the tape, because an exchange cannot happen within a gradient.
 */
import * as tf from '@tensorflow/tfjs-core';
import { convolutionGradients } from '../../compute/ops/backward';
import { conv3d } from '../../compute/ops/ops';
import type { Peers } from '../peers';
import type { Discriminator, Layer } from './discriminator';
import type { Norm, NormMemory } from './norm';

const SLOPE = 0.2;

/** What a pass forwards leaves for those backwards. */
export interface Trace {
  readonly discriminator: Discriminator;
  /** The input, then the output of every layer; the last is the logits. */
  readonly outputs: tf.Tensor5D[];
  /** By layer: what the norm's gradient needs, where there is one. */
  readonly norms: (NormMemory | undefined)[];
}

/** What all discriminators of a run have in common. */
interface Shape {
  readonly layers: number;
  /** Whether a layer has a norm. The last never has. */
  readonly normed: (layer: number) => boolean;
  readonly norm: Norm;
}

/** The outputs of the layers, the logits last. */
export function featuresOf(trace: Trace): readonly tf.Tensor5D[] {
  return trace.outputs.slice(1);
}

/**
 * Runs each input through its discriminator; `undefined` for a rank that has nothing.
 */
export async function forwards(
  inputs: readonly { readonly discriminator: Discriminator; readonly x: tf.Tensor5D }[] | undefined,
  shape: Shape,
  peers: Peers,
): Promise<Trace[]> {
  const traces = (inputs ?? []).map(
    ({ discriminator, x }): Trace => ({ discriminator, outputs: [tf.clone(x)], norms: [] }),
  );
  for (let i = 0; i < shape.layers; i++) {
    const convolved = traces.map(({ discriminator, outputs }) => convolve(discriminator, i, outputs[i]!));
    if (!shape.normed(i)) {
      traces.forEach(({ discriminator, outputs, norms }, t) => {
        norms.push(undefined);
        outputs.push(activate(discriminator.layers[i]!, convolved[t]!));
      });
      continue;
    }
    const parameters = traces.map(({ discriminator }, t) => ({
      x: convolved[t]!,
      ...normWeights(discriminator, i),
    }));
    const normalised = await shape.norm.forward(inputs && parameters, peers);
    traces.forEach(({ discriminator, outputs, norms }, t) => {
      const { y, ...memory } = normalised[t]!;
      convolved[t]!.dispose();
      norms.push(memory);
      outputs.push(activate(discriminator.layers[i]!, y));
    });
  }
  return traces;
}

/** One way back through a trace. */
export interface Sweep {
  readonly trace: Trace;
  /** Gradient of a loss with respect to each layer's output, where it has one. Disposed of by `backwards`. */
  readonly dys: readonly (tf.Tensor5D | undefined)[];
  /** What is wanted of it. */
  readonly input: boolean;
  readonly weights: boolean;
}

/** By sweep: the gradient of the input, and this rank's part of those of the weights, by name. */
interface SweepResult {
  readonly dx?: tf.Tensor5D;
  readonly gradients: tf.NamedTensorMap;
}

/** All ranks go through as many sweeps; `undefined` for a rank that has nothing. */
export async function backwards(
  sweeps: readonly Sweep[] | undefined,
  shape: Shape,
  peers: Peers,
): Promise<SweepResult[]> {
  const all = (sweeps ?? []).map((sweep) => ({
    ...sweep,
    gradients: {} as tf.NamedTensorMap,
    dy: undefined as tf.Tensor5D | undefined,
  }));
  for (let i = shape.layers - 1; i >= 0; i--) {
    for (const sweep of all) sweep.dy = throughActivation(sweep.trace, i, sweep.dy, sweep.dys[i]);
    if (shape.normed(i)) {
      const inputs = all.map(({ trace: { discriminator, norms }, dy }) => ({
        dy: dy!,
        ...norms[i]!,
        ...normWeights(discriminator, i),
      }));
      const results = await shape.norm.backward(sweeps && inputs, peers);
      all.forEach((sweep, s) => {
        const { dx, dgamma, dbeta } = results[s]!;
        sweep.dy!.dispose();
        sweep.dy = dx;
        const { norm } = sweep.trace.discriminator.layers[i]!;
        keepOrDispose(sweep.gradients, sweep.weights, {
          [`${norm}.weight`]: dgamma,
          [`${norm}.bias`]: dbeta,
        });
      });
    }
    for (const sweep of all) {
      if (!sweep.dy) continue; // no loss at this layer or above
      const { discriminator, outputs } = sweep.trace;
      const layer = discriminator.layers[i]!;
      const { dx, dw, dbias } = convolutionGradients(
        outputs[i]!,
        discriminator.weight(`${layer.convolution}.weight`),
        sweep.dy,
        layer,
        { input: i > 0 || sweep.input, weights: sweep.weights },
      );
      sweep.dy.dispose();
      sweep.dy = dx;
      if (dw && dbias)
        Object.assign(sweep.gradients, {
          [`${layer.convolution}.weight`]: dw,
          [`${layer.convolution}.bias`]: dbias,
        });
    }
  }
  return all.map(({ dy, gradients }) => ({ ...(dy && { dx: dy }), gradients }));
}

export function disposeTrace({ outputs, norms }: Trace): void {
  tf.dispose(outputs);
  for (const norm of norms) if (norm) tf.dispose([...norm.saved]);
}

function convolve(discriminator: Discriminator, layer: number, x: tf.Tensor5D): tf.Tensor5D {
  const { convolution, stride, padding } = discriminator.layers[layer]!;
  const [w, bias] = [`${convolution}.weight`, `${convolution}.bias`];
  return conv3d(x, discriminator.weight(w), discriminator.weight(bias), { stride, padding });
}

function normWeights(discriminator: Discriminator, layer: number): { gamma: tf.Tensor1D; beta: tf.Tensor1D } {
  const { norm } = discriminator.layers[layer]!;
  return { gamma: discriminator.weight(`${norm}.weight`), beta: discriminator.weight(`${norm}.bias`) };
}

/** The layer's output; frees what it is given, unless it is that. */
function activate(layer: Layer, x: tf.Tensor5D): tf.Tensor5D {
  if (!layer.activated) return x;
  const y = tf.leakyRelu(x, SLOPE);
  x.dispose();
  return y;
}

/** The gradient before the activation, of what comes from the layer above and what a loss has at this one. */
function throughActivation(
  { discriminator, outputs }: Trace,
  layer: number,
  above: tf.Tensor5D | undefined,
  own: tf.Tensor5D | undefined,
): tf.Tensor5D | undefined {
  const dy = above && own ? tf.add(above, own) : (above ?? own);
  if (!dy) return undefined;
  if (above && own) tf.dispose([above, own]);
  if (!discriminator.layers[layer]!.activated) return dy as tf.Tensor5D;
  // LeakyReLU keeps the sign, so its output tells which side its input was on.
  const through = tf.tidy(() => tf.where(tf.greater(outputs[layer + 1]!, 0), dy, tf.mul(dy, SLOPE)));
  dy.dispose();
  return through as tf.Tensor5D;
}

function keepOrDispose(into: tf.NamedTensorMap, keep: boolean, made: tf.NamedTensorMap): void {
  if (keep) Object.assign(into, made);
  else tf.dispose(made);
}
