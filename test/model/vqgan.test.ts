import * as tf from '@tensorflow/tfjs-core';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { mse, stopGradient } from '../../src/compute/ops/ops';
import { backendNames, useBackend } from '../../src/compute/use-backend';
import { forecastMemory } from '../../src/model/forecast/forecast';
import { VqGan } from '../../src/model/vqgan';
import { Random } from '../../src/random';
import { codebookOf, lossAndGradients, reconstruct } from './plain';
import { readReference, referenceBatch, referenceState, relativeError } from './reference';

const reference = readReference();

beforeAll(() => useBackend('cpu'));
afterEach(() => vi.restoreAllMocks());

function referenceModel(): VqGan {
  const model = new VqGan(reference.config, 0);
  model.load(referenceState(reference, model));
  return model;
}

/** A batch of smooth-ish random patches for tests that need no reference. */
function randomBatch(patches: number, seed: number): tf.Tensor5D {
  const random = new Random(seed, 'batch');
  const shape: [number, number, number, number, number] = [patches, 8, 4, 8, 1];
  return tf.tensor5d(
    Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => 2 * random.next() - 1),
    shape,
  );
}

describe.each(backendNames)('against PyTorch, backend %s', (name) => {
  beforeAll(() => useBackend(name));
  afterAll(() => useBackend('cpu'));

  test('latents, codes and reconstruction are the reference’s', () => {
    const model = referenceModel();
    const x = referenceBatch(reference, 0);
    const z = model.encode(x);
    const { codes, quantised } = model.quantise(z);
    expect(z.shape).toEqual(reference.array('z').shape);
    expect(relativeError(z.dataSync(), reference.array('z').data)).toBeLessThan(1e-5);
    expect([...codes.dataSync()]).toEqual([...reference.array('codes').data]);
    const y = model.decode(quantised);
    expect(y.shape).toEqual(x.shape);
    expect(relativeError(y.dataSync(), reference.array('y').data)).toBeLessThan(1e-5);
    expect(relativeError(reconstruct(model, x).dataSync(), y.dataSync())).toBe(0);
  });

  test('every gradient is the reference’s', async () => {
    const model = referenceModel();
    const { gradients, losses } = await lossAndGradients(model, referenceBatch(reference, 0));
    expect(losses.loss).toBeCloseTo(reference.losses[0]![0], 5);
    expect(Object.keys(gradients)).toEqual([...model.weights.keys()]);
    const errors = Object.entries(gradients).map(([name, gradient]) => ({
      name,
      error: relativeError(gradient.dataSync(), reference.array(`gradients/${name}`).data),
    }));
    expect(errors.filter(({ error }) => !(error < 1e-4))).toEqual([]);
  });

  test('losses and codebook follow the reference over 5 steps of gradient descent', async () => {
    const model = referenceModel();
    for (const [step, [total, reconstruction, commitment]] of reference.losses.entries()) {
      const { losses, gradients, latents, codes } = await lossAndGradients(
        model,
        referenceBatch(reference, step),
      );
      expect(losses.loss).toBeCloseTo(total, 4);
      expect(losses.reconstruction).toBeCloseTo(reconstruction, 4);
      expect(losses.commitment).toBeCloseTo(commitment, 4);
      const rows = { offset: 0, total: latents.shape[0], seed: 0, step };
      codebookOf(model).apply(codebookOf(model).statistics(latents, codes, rows));
      descend(model, gradients, reference.rate);
    }
    const codebook = codebookOf(model).state();
    for (const name of ['embeddings', 'N', 'z_avg'])
      expect(
        relativeError(codebook.get(`codebook.${name}`)!.data, reference.array(`codebook/${name}`).data),
      ).toBeLessThan(1e-4);
  });
});

describe.each([2, 4])('%i ranks on a split batch', (ranks) => {
  test('equal one rank on the whole batch over 5 steps, with restarts, and stay bit-identical', async () => {
    const config = { ...reference.config, codes: 16, restartBelow: 0.9, decay: 0.5 };
    const whole = [new VqGan(config, 3)];
    const split = Array.from({ length: ranks }, () => new VqGan(config, 3));
    for (let step = 0; step < 5; step++) {
      const batch = randomBatch(4, step);
      const one = await globalStep(whole, batch, step);
      const many = await globalStep(split, batch, step);
      expect(many.loss).toBeCloseTo(one.loss, 5);
      expect(many.gradientError(one)).toBeLessThan(1e-4);
      const states = split.map((model) => [...model.state().values()].map(({ data }) => [...data]));
      for (const state of states) expect(state).toEqual(states[0]);
    }
    const [one, many] = [codebookOf(whole[0]!).state(), codebookOf(split[0]!).state()];
    for (const [name, { data }] of one) expect(relativeError(many.get(name)!.data, data)).toBeLessThan(1e-5);
  });
});

/** One step of all ranks of a process group, its sums made by hand. Rank r owns rows [r * m, (r + 1) * m). */
async function globalStep(ranks: VqGan[], batch: tf.Tensor5D, step: number) {
  const shards = tf.split(batch, ranks.length) as tf.Tensor5D[];
  if (step === 0) {
    const parts = ranks.map((model, rank) => {
      const z = model.encode(shards[rank]!);
      const latents = tf.reshape(z, [-1, model.config.codeDim]) as tf.Tensor2D;
      const m = latents.shape[0];
      return codebookOf(model).initialisation(latents, {
        offset: rank * m,
        total: m * ranks.length,
        seed: 5,
      });
    });
    for (const model of ranks) codebookOf(model).initialise(sum(parts));
  }
  const results = await Promise.all(ranks.map((model, rank) => lossAndGradients(model, shards[rank]!)));
  const parts = results.map(({ latents, codes }, rank) => {
    const m = latents.shape[0];
    const rows = { offset: rank * m, total: m * ranks.length, seed: 5, step };
    return codebookOf(ranks[rank]!).statistics(latents, codes, rows);
  });
  const statistics = {
    counts: sum(parts.map(({ counts }) => counts)),
    sums: sum(parts.map(({ sums }) => sums)),
    candidates: sum(parts.map(({ candidates }) => candidates)),
  };
  const gradients = Object.fromEntries(
    Object.keys(results[0]!.gradients).map((name) => [
      name,
      tf.div(tf.addN(results.map((result) => result.gradients[name]!)), ranks.length),
    ]),
  );
  for (const model of ranks) {
    codebookOf(model).apply(statistics);
    descend(model, gradients, 0.01);
  }
  return {
    gradients,
    loss: results.reduce((total, { losses }) => total + losses.loss, 0) / ranks.length,
    gradientError: (other: { gradients: tf.NamedTensorMap }) =>
      Math.max(
        ...Object.entries(gradients).map(([name, gradient]) =>
          relativeError(gradient.dataSync(), other.gradients[name]!.dataSync()),
        ),
      ),
  };
}

test('steps leave no tensor behind', async () => {
  const model = referenceModel();
  const x = tf.slice(referenceBatch(reference, 0), 0, 1) as tf.Tensor5D;
  const step = async () => {
    const { gradients, latents, codes } = await lossAndGradients(model, x);
    const rows = { offset: 0, total: latents.shape[0], seed: 0, step: 0 };
    codebookOf(model).apply(codebookOf(model).statistics(latents, codes, rows));
    tf.dispose([gradients, latents, codes]);
    reconstruct(model, x).dispose();
  };
  await step();
  const before = tf.memory();
  for (let i = 0; i < 20; i++) await step();
  expect(tf.memory().numTensors).toBe(before.numTensors);
  expect(tf.memory().numBytes).toBe(before.numBytes);
  model.dispose();
});

test('a loaded state gives the same reconstruction and the same state, bit for bit', async () => {
  const model = referenceModel();
  const x = referenceBatch(reference, 1);
  const { latents, codes } = await lossAndGradients(model, x);
  codebookOf(model).apply(
    codebookOf(model).statistics(latents, codes, {
      offset: 0,
      total: latents.shape[0],
      seed: 0,
      step: 0,
    }),
  );
  const other = new VqGan(reference.config, 99);
  expect(codebookOf(other).initialised).toBe(false);
  other.load(model.state());
  expect(codebookOf(other).initialised).toBe(true);
  expect([...other.state()]).toEqual([...model.state()]);
  expect(reconstruct(other, x).dataSync()).toEqual(reconstruct(model, x).dataSync());
});

test('a state that does not fit is refused and changes nothing', () => {
  const model = referenceModel();
  const before = [...model.state()];
  const broken = new Map(new VqGan(reference.config, 1).state());
  broken.delete('decoder.conv_last.conv.bias');
  expect(() => model.load(broken)).toThrow(/decoder\.conv_last\.conv\.bias.*\[1\].*nothing/);
  expect(() => model.load(new VqGan({ ...reference.config, codes: 5 }, 1).state())).toThrow(/codebook/);
  expect([...model.state()]).toEqual(before);
});

test('before its codebook is initialised a model refuses to quantise', async () => {
  const model = new VqGan(reference.config, 0);
  expect(() => reconstruct(model, randomBatch(1, 0))).toThrow(/codebook.*initialised/);
  await expect(lossAndGradients(model, randomBatch(1, 0))).rejects.toThrow(/codebook.*initialised/);
});

test('patches that do not divide into latents are refused with the downsampling named', () => {
  expect(() => referenceModel().encode(tf.zeros([1, 8, 4, 6, 1]))).toThrow(/model\.downsample \[4, 2, 4\]/);
});

test('the seed fixes the weights, and they fill PyTorch’s uniform range', () => {
  const [one, same, other] = [7, 7, 8].map((seed) => new VqGan(reference.config, seed).state());
  expect([...same!]).toEqual([...one!]);
  const name = 'decoder.conv_blocks.0.up.convt.weight'; // fan in of 8 output channels and 4 x 4 x 4 taps
  const weight = one!.get(name)!.data;
  expect(weight).not.toEqual(other!.get(name)!.data);
  const bound = 1 / Math.sqrt(8 * 64);
  expect(Math.max(...weight)).toBeLessThanOrEqual(bound);
  expect(Math.max(...weight)).toBeGreaterThan(0.99 * bound);
  expect(weight.reduce((total, w) => total + w * w, 0) / weight.length / bound ** 2).toBeCloseTo(1 / 3, 1);
});

test('the activation forecast is what the tape holds', () => {
  const config = { ...reference.config, hidden: 8, groups: 4 };
  const model = new VqGan(config, 0);
  codebookOf(model).initialise(new Float32Array(config.codes * config.codeDim).map((_, i) => i % 7));
  const heldBytes = watchBackend();
  const x = tf.tensor(new Float32Array(8 * 8 * 16), [1, 8, 8, 16, 1]) as tf.Tensor5D;
  let held = 0;
  tf.dispose(
    tf.variableGrads(() => {
      const z = model.encode(x);
      const { quantised } = model.quantise(z);
      const y = model.decode(quantised);
      const total = tf.add(mse(y, x), mse(z, stopGradient(quantised))) as tf.Scalar;
      held = heldBytes();
      return total;
    }),
  );
  const { activations } = forecastMemory(config, [16, 8, 8], { device: 'wasm' });
  expect(held / activations).toBeCloseTo(1, 2);
});

/** Bytes written to the backend from now on and not yet disposed; tf.memory() counts shared data twice. */
function watchBackend(): () => number {
  const backend = tf.backend() as tf.KernelBackend;
  const [write, disposeData] = [backend.write.bind(backend), backend.disposeData.bind(backend)];
  const bytes = new Map<object, number>();
  vi.spyOn(backend, 'write').mockImplementation((values, shape, dtype) => {
    const id = write(values, shape, dtype);
    bytes.set(id, tf.util.sizeFromShape(shape) * 4);
    return id;
  });
  vi.spyOn(backend, 'disposeData').mockImplementation((id, force) => {
    const freed = disposeData(id, force);
    if (freed) bytes.delete(id);
    return freed;
  });
  return () => [...bytes.values()].reduce((total, size) => total + size, 0);
}

function descend(model: VqGan, gradients: tf.NamedTensorMap, rate: number): void {
  for (const [name, weight] of model.weights)
    tf.tidy(() => weight.assign(tf.sub(weight, tf.mul(gradients[name]!, rate))));
}

function sum(arrays: Float32Array[]): Float32Array {
  return arrays[0]!.map((_, i) => arrays.reduce((total, array) => total + array[i]!, 0));
}

test('recomputed blocks give the same gradients and keep less', async () => {
  await useBackend(backendNames[0]!);
  const config = { ...reference.config, hidden: 8, groups: 4, decoderBlocks: 2 };
  const values = Float32Array.from({ length: 8 * 16 * 16 }, (_, i) => Math.sin(i));
  const x = tf.tensor5d(values, [1, 8, 16, 16, 1]);
  const compute = (checkpointing: 'none' | 'blocks') => {
    const model = new VqGan(config, 3, checkpointing);
    codebookOf(model).initialise(
      Float32Array.from({ length: config.codes * config.codeDim }, (_, i) => i % 7),
    );
    const before = tf.memory().numBytes;
    const pass = model.forward(x);
    const kept = tf.memory().numBytes - before;
    const dy = tf.onesLike(pass.y);
    const gradients = pass.gradients(dy, 1);
    const arrays = Object.values(gradients).map((gradient) => gradient.dataSync<'float32'>().slice());
    const { y, features, quantiserLoss, commitment, latents, codes } = pass;
    tf.dispose([y, features, quantiserLoss, commitment, latents, codes, gradients, dy]);
    model.dispose();
    return { arrays, kept, alive: tf.memory().numTensors };
  };
  const [whole, recomputed, again] = [compute('none'), compute('blocks'), compute('blocks')];
  recomputed.arrays.forEach((array, i) => {
    expect(relativeError(array, whole.arrays[i]!)).toBeLessThan(1e-5);
  });
  expect(recomputed.kept / whole.kept).toBeLessThan(0.9);
  expect(again.alive).toBe(recomputed.alive);
  x.dispose();
});
