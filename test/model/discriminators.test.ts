import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { useBackend } from '../../src/compute/use-backend';
import { adversarialFactor, type GanConfig } from '../../src/model/discriminators/config';
import { Discriminator } from '../../src/model/discriminators/discriminator';
import { discriminatorLoss, generatorLoss } from '../../src/model/discriminators/losses';
import { batchNorm, groupNorm } from '../../src/model/discriminators/norm';
import { backwards, disposeTrace, featuresOf, forwards } from '../../src/model/discriminators/pass';
import { drawSlices } from '../../src/model/objective';
import { alone } from '../../src/model/peers';
import { PRESETS } from '../../src/model/presets';
import { normal, tensor, worstError } from '../conformance/tensors';

const config: GanConfig = { ...PRESETS.guide.gan, channels: 4, layers: 2 };

beforeAll(() => useBackend('wasm'));

/** Puts every channel on one side of LeakyReLU's kink, half of them on either: finite differences do not cross it. */
function keepFromKinks({ layers, weights }: Discriminator): void {
  for (const { norm, convolution } of layers) {
    const bias = weights.get(`${norm ?? convolution}.bias`)!;
    const values = Float32Array.from({ length: bias.size }, (_, channel) => (channel % 2 ? 12 : -12));
    tf.tidy(() => bias.assign(tf.tensor(values, bias.shape)));
  }
}

describe.each(['image', 'video'] as const)('the %s discriminator', (kind) => {
  test.each(['batch', 'group', 'none'] as const)(
    'with norm %s: gradients by hand agree with finite differences',
    async (norm) => {
      const discriminator = new Discriminator(kind, { ...config, norm }, 1);
      keepFromKinks(discriminator);
      const shape = {
        layers: discriminator.layers.length,
        normed: (layer: number) => discriminator.layers[layer]!.norm !== undefined,
        norm: norm === 'batch' ? batchNorm : groupNorm,
      };
      const size = kind === 'image' ? [2, 1, 8, 10, 1] : [2, 6, 8, 7, 1];
      const values = normal(1, size);
      const place = () => tf.tensor(values.slice(), size) as tf.Tensor as tf.Tensor5D;
      const trace = async () => (await forwards([{ discriminator, x: place() }], shape, alone))[0]!;
      const first = await trace();
      const directions = featuresOf(first).map((feature, i) => normal(50 + i, feature.shape));
      const loss = async () => {
        const made = await trace();
        const sum = featuresOf(made).reduce((total, feature, i) => {
          const own = feature.dataSync<'float32'>();
          return total + own.reduce((s, value, at) => s + value * directions[i]![at]!, 0);
        }, 0);
        disposeTrace(made);
        return sum;
      };
      const dys = featuresOf(first).map(
        (feature, i) => tf.tensor(directions[i]!, feature.shape) as tf.Tensor as tf.Tensor5D,
      );
      const [swept] = await backwards([{ trace: first, dys, input: true, weights: true }], shape, alone);
      const step = 1e-2;
      const compare = async (gradient: ArrayLike<number>, change: (at: number, by: number) => void) => {
        const [expected, actual]: [number[], number[]] = [[], []];
        const count = Math.min(gradient.length, 6);
        for (let probe = 0; probe < count; probe++) {
          const at = Math.floor((probe * gradient.length) / count);
          change(at, step);
          const above = await loss();
          change(at, -2 * step);
          expected.push((above - (await loss())) / (2 * step));
          change(at, step);
          actual.push(gradient[at]!);
        }
        expect(worstError(actual, expected)).toBeLessThan(2e-2);
      };
      await compare(swept!.dx!.dataSync(), (at, by) => {
        values[at]! += by;
      });
      expect(Object.keys(swept!.gradients).sort()).toEqual([...discriminator.weights.keys()].sort());
      for (const [name, gradient] of Object.entries(swept!.gradients))
        await compare(gradient.dataSync(), (at, by) => {
          const weight = discriminator.weights.get(name)!;
          const changed = weight.dataSync<'float32'>().slice();
          changed[at]! += by;
          tf.tidy(() => weight.assign(tf.tensor(changed, weight.shape)));
        });
      disposeTrace(first);
    },
  );
});

describe('losses of logits', () => {
  const logits = Float32Array.of(-2.3, -0.4, 0.3, 1.7);
  test.each([
    ['generator', (values: Float32Array) => generatorLoss(values)],
    ['hinge, real', (values: Float32Array) => discriminatorLoss(values, true, 'hinge')],
    ['hinge, fake', (values: Float32Array) => discriminatorLoss(values, false, 'hinge')],
    ['vanilla, real', (values: Float32Array) => discriminatorLoss(values, true, 'vanilla')],
    ['vanilla, fake', (values: Float32Array) => discriminatorLoss(values, false, 'vanilla')],
  ] as const)('%s: the gradient agrees with finite differences', (_name, loss) => {
    const { gradient } = loss(logits);
    for (let i = 0; i < logits.length; i++) {
      const moved = (by: number) => loss(logits.map((value, at) => (at === i ? value + by : value))).value;
      expect(gradient[i]).toBeCloseTo((moved(0.01) - moved(-0.01)) / 0.02, 3);
    }
  });

  test('of the vanilla kind stay finite where logits are large', () => {
    const { value, gradient } = discriminatorLoss(Float32Array.of(-1000, 1000), true, 'vanilla');
    expect(value).toBe(250);
    expect(gradient[0]).toBe(-0.25);
    expect(Math.abs(gradient[1]!)).toBe(0);
  });
});

test('the adversarial losses start at a step and grow over the ramp', () => {
  const at = (step: number) => adversarialFactor({ ...config, start: 10, ramp: 4 }, step);
  expect([0, 9, 10, 11, 13, 14, 100].map(at)).toEqual([0, 0, 0.25, 0.5, 1, 1, 1]);
  expect(adversarialFactor({ ...config, start: 10, ramp: 0 }, 10)).toBe(1);
});

describe('slices', () => {
  const shape = [4, 5, 6, 7, 1];

  test('are the same for every division of the global batch', () => {
    for (let step = 0; step < 20; step++) {
      const whole = drawSlices(['x', 'y', 'z'], shape, { step, offset: 0 }, 3);
      const parts = [0, 1, 3].map((offset, i) =>
        drawSlices(['x', 'y', 'z'], [[1, 2, 1][i]!, ...shape.slice(1)], { step, offset }, 3),
      );
      expect(parts.flatMap(({ indices }) => indices)).toEqual(whole.indices);
      for (const { axis } of parts) expect(axis).toBe(whole.axis);
    }
  });

  test('come from all axes and all places', () => {
    const drawn = Array.from({ length: 200 }, (_, step) =>
      drawSlices(['x', 'y', 'z'], shape, { step, offset: 0 }, 1),
    );
    expect(new Set(drawn.map(({ axis }) => axis))).toEqual(new Set([0, 1, 2]));
    for (const axis of [0, 1, 2] as const) {
      const places = drawn.filter((slices) => slices.axis === axis).flatMap(({ indices }) => indices);
      expect(new Set(places).size).toBe(shape[axis + 1]);
    }
    expect(drawSlices(['z'], shape, { step: 7, offset: 0 }, 1).axis).toBe(0);
  });
});

test('batch norm of ranks without voxels passes', async () => {
  const x = tensor<tf.Tensor5D>(1, [1, 2, 2, 2, 3]);
  const parameters = { gamma: tf.ones([3]) as tf.Tensor1D, beta: tf.zeros([3]) as tf.Tensor1D };
  // Another rank that has nothing sends nothing.
  const peers = { gather: async (values: Float32Array) => [new Float32Array(0), values] };
  const [one] = await batchNorm.forward([{ x, ...parameters }], alone);
  const [two] = await batchNorm.forward([{ x, ...parameters }], peers);
  expect([...two!.y.dataSync()]).toEqual([...one!.y.dataSync()]);
  expect(await batchNorm.forward(undefined, peers)).toEqual([]);
});
