import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { conv3d } from '../compute/ops/ops';
import { maxPool } from '../compute/ops/pool';
import { withGradient } from '../compute/ops/with-gradient';
import { InvalidArgument } from '../errors';
import { packageRoot } from '../package';
import type { StoredTensor } from '../safetensors';

/** VGG-16's convolutions by pooled stage: [index in torchvision's `features`, input channels, output channels]. */
const STAGES: readonly (readonly (readonly [number, number, number])[])[] = [
  [
    [0, 3, 64],
    [2, 64, 64],
  ],
  [
    [5, 64, 128],
    [7, 128, 128],
  ],
  [
    [10, 128, 256],
    [12, 256, 256],
    [14, 256, 256],
  ],
  [
    [17, 256, 512],
    [19, 512, 512],
    [21, 512, 512],
  ],
  [
    [24, 512, 512],
    [26, 512, 512],
    [28, 512, 512],
  ],
];

/** What LPIPS takes from an image in [-1, 1], by channel, to be like the images that VGG was trained on. */
const SHIFT = [-0.03, -0.088, -0.188];
const SCALE = [0.458, 0.448, 0.45];
const EPSILON = 1e-10;
/** Slices are halved four times. */
const LEAST = 16;

/** Where the weights come from, for whoever has none yet. */
export function howToGetPerceptual(): string {
  const script = join(packageRoot(), 'data', 'perceptual', 'convert.py');
  return (
    `\`python ${script} perceptual.safetensors\` writes both into one file where Python has torch, torchvision and ` +
    'lpips; with `--vgg vgg16-397923af.pth --heads vgg.pth` it needs torch alone'
  );
}

/** The distance of slices and its gradient at the second; the caller's to dispose. */
interface PerceptualLoss {
  /** Unweighted mean over the slices. */
  readonly value: number;
  readonly gradient: tf.Tensor5D;
}

/**
 * LPIPS on VGG-16 (Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", 2018):
 * features of five stages, each scaled to unit length across its channels, their squared differences weighted by a
 * learnt head and averaged over the slice. A grey slice stands for all three colours. The weights are fixed.
 */
export class Perceptual {
  private readonly weights: ReadonlyMap<string, tf.Tensor>;

  /**
   * @param vgg torchvision's `vgg16()`: `features.0.weight` [64, 3, 3, 3], `features.0.bias`, ...; what else it holds
   *   is passed over
   * @param heads LPIPS's heads: `lin0.model.1.weight` [1, 64, 1, 1] to `lin4...`
   * @throws InvalidArgument naming the first array that is missing or has another shape
   */
  constructor(vgg: ReadonlyMap<string, StoredTensor>, heads: ReadonlyMap<string, StoredTensor>) {
    const weights = new Map<string, tf.Tensor>();
    const take = (
      from: ReadonlyMap<string, StoredTensor>,
      argument: string,
      name: string,
      shape: number[],
    ) => {
      const found = from.get(name);
      if (found?.shape.join() !== shape.join())
        throw new InvalidArgument(
          argument,
          `${name} of shape [${shape}] (${howToGetPerceptual()})`,
          found?.shape ?? 'nothing',
        );
      return tf.tensor(found!.data.slice(), shape);
    };
    tf.tidy(() => {
      STAGES.forEach((stage, i) => {
        for (const [index, inputs, outputs] of stage) {
          const plane = take(vgg, 'perceptual.vgg', `features.${index}.weight`, [outputs, inputs, 3, 3]);
          const kernel = tf.reshape(tf.transpose(plane, [2, 3, 1, 0]), [1, 3, 3, inputs, outputs]);
          weights.set(`${index}.weight`, tf.keep(kernel));
          const bias = take(vgg, 'perceptual.vgg', `features.${index}.bias`, [outputs]);
          weights.set(`${index}.bias`, tf.keep(bias));
        }
        const channels = stage.at(-1)![2];
        const head = take(heads, 'perceptual.heads', `lin${i}.model.1.weight`, [1, channels, 1, 1]);
        weights.set(`head${i}`, tf.keep(tf.reshape(head, [channels])));
      });
      const scale = tf.tensor1d(SCALE.map((value) => 1 / value));
      weights.set('scale', tf.keep(scale));
      weights.set('shift', tf.keep(tf.tensor1d(SHIFT.map((value, i) => -value / SCALE[i]!))));
    });
    this.weights = weights;
  }

  /**
   * @param x slices [n, 1, a, b, 1] in [-1, 1], of at least 16 x 16
   * @param y their reconstructions
   * @param weight what the gradient is multiplied by
   */
  loss(x: tf.Tensor5D, y: tf.Tensor5D, weight: number): PerceptualLoss {
    if (Math.min(x.shape[2], x.shape[3]) < LEAST)
      throw new InvalidArgument('slices', `at least ${LEAST} x ${LEAST} voxels`, x.shape.slice(2, 4));
    const wanted = tf.tidy(() => this.features(x));
    const scale = tf.scalar(weight);
    const { value, grad } = tf.valueAndGrad((slices: tf.Tensor) => {
      const distances = this.features(slices as tf.Tensor5D).map((feature, i) => {
        const apart = tf.squaredDifference(unit(feature), unit(wanted[i]!));
        const [n, , a, b] = feature.shape;
        return tf.div(tf.sum(tf.mul(apart, this.weight(`head${i}`))), n * a * b);
      });
      return distances.reduce((sum, distance) => tf.add(sum, distance)) as tf.Scalar;
    })(y, scale);
    tf.dispose([scale, ...wanted]);
    const loss = { value: value.dataSync()[0]!, gradient: grad as tf.Tensor5D };
    value.dispose();
    return loss;
  }

  dispose(): void {
    tf.dispose([...this.weights.values()]);
  }

  /** What the last ReLU of each stage gives, [n, 1, a, b, c]. */
  private features(slices: tf.Tensor5D): tf.Tensor5D[] {
    let h = tf.add(tf.mul(slices, this.weight('scale')), this.weight('shift')) as tf.Tensor5D; // [n, 1, a, b, 3]
    return STAGES.map((stage, i) => {
      if (i > 0) h = maxPool(h);
      for (const [index] of stage) {
        const w = this.weight<tf.Tensor5D>(`${index}.weight`);
        h = tf.relu(conv3d(h, w, this.weight(`${index}.bias`), { padding: [0, 1, 1] }));
      }
      return h;
    });
  }

  private weight<T extends tf.Tensor>(name: string): T {
    return this.weights.get(name)! as T;
  }
}

/** Scales the vectors along the last axis to length 1; what is all zeros stays so, with no gradient of its length. */
function unit(x: tf.Tensor): tf.Tensor {
  return withGradient(
    [x],
    (x) => [tf.div(x, tf.add(lengthOf(x), EPSILON)), x],
    (dy, x) => {
      const length = lengthOf(x);
      const along = tf.sum(tf.mul(dy, x), -1, true);
      // d(x / (|x| + e)) = dy / (|x| + e) - x (x . dy) / (|x| (|x| + e)^2)
      const guarded = tf.add(length, EPSILON);
      const inward = tf.div(along, tf.mul(tf.maximum(length, EPSILON), tf.square(guarded)));
      return tf.sub(tf.div(dy, guarded), tf.mul(x, inward));
    },
  );
}

function lengthOf(x: tf.Tensor): tf.Tensor {
  return tf.sqrt(tf.sum(tf.square(x), -1, true));
}
