/**
 * Gradients of our kernels and of the stock tfjs ops that models and losses use; they are the same on every backend.
 * The CommonJS build of tfjs-core ships none, and Node cannot resolve its ES modules, which do. For an op that is not
 * here tfjs throws "gradient function not found" with its name.
 */
import * as tf from '@tensorflow/tfjs-core';
import { runKernel, tfjsName } from '../contract/registry';

/** Input gradients from the output's gradient and the inputs, which are saved for it. */
type Rule = (dy: tf.Tensor, inputs: tf.Tensor[], attributes: tf.NamedAttrMap) => (() => tf.Tensor)[];

/** Registers one gradient; the rule's results belong to the inputs in the order of `names`. */
function register(kernelName: string, names: readonly string[], rule: Rule): void {
  tf.registerGradient({
    kernelName,
    inputsToSave: [...names],
    gradFunc: (dy, saved, attributes) => {
      const gradients = rule(dy as tf.Tensor, saved, attributes);
      return Object.fromEntries(names.map((name, i) => [name, gradients[i]!]));
    },
  });
}

/** Sums a gradient over the axes along which the input was broadcast. */
function unbroadcast(dy: tf.Tensor, shape: readonly number[]): tf.Tensor {
  const lead = dy.shape.length - shape.length;
  const axes = dy.shape.flatMap((size, axis) =>
    axis < lead || (shape[axis - lead] === 1 && size > 1) ? [axis] : [],
  );
  return tf.reshape(axes.length ? tf.sum(dy, axes) : dy, [...shape]);
}

const BINARY: Record<string, (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => (() => tf.Tensor)[]> = {
  Add: (dy) => [() => dy, () => dy],
  Sub: (dy) => [() => dy, () => tf.neg(dy)],
  Multiply: (dy, a, b) => [() => tf.mul(dy, b), () => tf.mul(dy, a)],
  RealDiv: (dy, a, b) => [() => tf.div(dy, b), () => tf.neg(tf.div(tf.mul(dy, a), tf.square(b)))],
  Maximum: (dy, a, b) => [() => where(tf.greaterEqual(a, b), dy), () => where(tf.less(a, b), dy)],
  Minimum: (dy, a, b) => [() => where(tf.lessEqual(a, b), dy), () => where(tf.greater(a, b), dy)],
  SquaredDifference: (dy, a, b) => [
    () => tf.mul(dy, tf.mul(tf.sub(a, b), 2)),
    () => tf.mul(dy, tf.mul(tf.sub(b, a), 2)),
  ],
};

const UNARY: Record<string, (dy: tf.Tensor, x: tf.Tensor) => tf.Tensor> = {
  Abs: (dy, x) => tf.mul(dy, tf.sign(x)),
  Neg: (dy) => tf.neg(dy),
  Square: (dy, x) => tf.mul(dy, tf.mul(x, 2)),
  Sqrt: (dy, x) => tf.div(dy, tf.mul(tf.sqrt(x), 2)),
  Rsqrt: (dy, x) => tf.mul(dy, tf.div(tf.rsqrt(x), tf.mul(x, -2))),
  Exp: (dy, x) => tf.mul(dy, tf.exp(x)),
  Log: (dy, x) => tf.div(dy, x),
  Relu: (dy, x) => where(tf.greater(x, 0), dy),
  Softplus: (dy, x) => tf.mul(dy, tf.sigmoid(x)),
  Sigmoid: (dy, x) => tf.mul(dy, tf.mul(tf.sigmoid(x), tf.sub(1, tf.sigmoid(x)))),
  Tanh: (dy, x) => tf.mul(dy, tf.sub(1, tf.square(tf.tanh(x)))),
  Identity: (dy) => tf.clone(dy),
  Reshape: (dy, x) => tf.reshape(dy, x.shape),
  ExpandDims: (dy, x) => tf.reshape(dy, x.shape),
};

function where(condition: tf.Tensor, dy: tf.Tensor): tf.Tensor {
  return tf.mul(dy, tf.cast(condition, 'float32'));
}

/** A reduction's gradient, spread over the axes that the reduction removed. */
function spread(dy: tf.Tensor, x: tf.Tensor, axis: unknown): tf.Tensor {
  const axes = tf.util.parseAxisParam((axis ?? null) as number[], x.shape);
  const kept = x.shape.map((size, i) => (axes.includes(i) ? 1 : size));
  return tf.mul(tf.reshape(dy, kept), tf.onesLike(x));
}

/** Registers all gradients of this file. Call it once: tfjs warns of what is registered twice. */
export function registerGradients(): void {
  tf.registerGradient({
    kernelName: tfjsName('convolve'),
    inputsToSave: ['x', 'w'],
    gradFunc: (given, saved, attributes) => {
      const [dy, [x, w]] = [given as tf.Tensor, saved as [tf.Tensor, tf.Tensor]];
      return {
        x: () => runKernel('convolveInputGradient', { dy, w }, attributes),
        w: () => runKernel('convolveWeightGradient', { x, dy }, attributes),
        bias: () => runKernel('channelSums', { dy }),
      };
    },
  });
  tf.registerGradient({
    kernelName: tfjsName('groupNorm'),
    inputsToSave: ['x', 'gamma', 'beta'],
    outputsToSave: [false, true, true],
    gradFunc: (dys, saved, attributes) => {
      const [x, gamma, beta, mean, scale] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const inputs = { dy: (dys as tf.Tensor[])[0]!, x, gamma, beta, mean, scale };
      const [dx, dgamma, dbeta] = runKernel('groupNormGradient', inputs, attributes);
      return { x: () => dx!, gamma: () => dgamma!, beta: () => dbeta! };
    },
  });
  for (const [name, rule] of Object.entries(BINARY)) {
    register(name, ['a', 'b'], (dy, [a, b]) =>
      rule(dy, a!, b!).map((gradient, i) => () => unbroadcast(gradient(), [a, b][i]!.shape)),
    );
  }
  for (const [name, rule] of Object.entries(UNARY)) {
    register(name, ['x'], (dy, [x]) => [() => rule(dy, x!)]);
  }
  register('LeakyRelu', ['x'], (dy, [x], { alpha }) => [
    () => tf.where(tf.greater(x!, 0), dy, tf.mul(dy, alpha as number)),
  ]);
  register('ClipByValue', ['x'], (dy, [x], { clipValueMin, clipValueMax }) => [
    () =>
      where(
        tf.logicalAnd(tf.greaterEqual(x!, clipValueMin as number), tf.lessEqual(x!, clipValueMax as number)),
        dy,
      ),
  ]);
  register('Sum', ['x'], (dy, [x], { axis }) => [() => spread(dy, x!, axis)]);
  register('Mean', ['x'], (dy, [x], { axis }) => [
    () => tf.div(spread(dy, x!, axis), x!.size / Math.max(dy.size, 1)),
  ]);
  register('Transpose', ['x'], (dy, _x, { perm }) => [
    () => tf.transpose(dy, tf.backend_util.getUndoAxesPermutation(perm as number[])),
  ]);
  register('Cast', ['x'], (dy) => [() => tf.cast(dy, 'float32')]);
  register('BatchMatMul', ['a', 'b'], (dy, [a, b], { transposeA, transposeB }) => {
    const product = (left: tf.Tensor, right: tf.Tensor, leftT: unknown, rightT: unknown) =>
      tf.matMul(left, right, leftT as boolean, rightT as boolean);
    return [
      () => (transposeA ? product(b!, dy, transposeB, true) : product(dy, b!, false, !transposeB)),
      () => (transposeB ? product(dy, a!, true, transposeA) : product(a!, dy, !transposeA, false)),
    ];
  });
}
