/**
 * Our side of `bench step`: a process that trains on one batch. Its argument is one JSON value. A line n on stdin runs n
 * steps, and it answers with one JSON line {ms, losses, codes, peak}.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import * as tf from '@tensorflow/tfjs-core';
import { isPatchwiseError, presetNamed, UnavailableBackend, useBackend } from '../src/index';
import { alone, currentBackend, makeOptimiser, Objective, setPrecision, VqGan } from '../src/internal';
import type { StepSetup } from './step-sides';

interface Entry {
  readonly name: string;
  readonly shape: number[];
  readonly offset: number;
}

/** Reports our own errors, such as a lack of memory or device, in the next line, as PyTorch's side does. */
async function main(): Promise<void> {
  try {
    await serve(JSON.parse(process.argv[2]!));
  } catch (error) {
    if (!isPatchwiseError(error)) throw error;
    const why = error instanceof UnavailableBackend ? `${error.reason}. ${error.cure}` : error.message;
    console.log(JSON.stringify({ unable: why }));
  }
}

async function serve(setup: StepSetup & { readonly backend: string }): Promise<void> {
  const info = await useBackend(setup.backend);
  setPrecision(setup.precision);
  const bytes = readFileSync(`${setup.state}.bin`);
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const entries = JSON.parse(readFileSync(`${setup.state}.json`, 'utf8')) as Entry[];
  const state = new Map(
    entries.map(({ name, shape, offset }) => [
      name,
      { shape, data: values.slice(offset, offset + tf.util.sizeFromShape(shape)) },
    ]),
  );
  const patch = state.get('x')!;
  const x = tf.tensor(patch.data, patch.shape) as tf.Tensor as tf.Tensor5D;
  const model = new VqGan(setup.config, 0, setup.checkpointing);
  model.load(state);
  const trainStep = stepper(model, setup);
  const peak = setup.device === 'cpu' ? peakOfProcess : peakOfTensors;
  const start = peak();
  console.log(JSON.stringify({ version: info.version }));
  let step = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    const [ms, losses, codes]: [number[], number[], number[][]] = [[], [], []];
    for (let i = 0; i < Number(line); i++) {
      const begun = performance.now();
      const made = await trainStep(x, step++);
      ms.push(performance.now() - begun);
      losses.push(made.loss);
      codes.push(made.codes);
    }
    console.log(JSON.stringify({ ms, losses, codes, peak: (peak() - start) / 2 ** 20 }));
    // All sides share the GPU, so this side frees the memory that it keeps for its next tensors.
    if (setup.device !== 'cpu') tf.backend().dispose();
  }
}

/** Bytes. */
function peakOfProcess(): number {
  return process.resourceUsage().maxRSS * 1024;
}

function peakOfTensors(): number {
  return currentBackend().memory!().peak;
}

/** Trains as a rank does: gradients and moments stay on a backend that can hold them. */
function stepper(model: VqGan, { learningRate, clip }: StepSetup) {
  const optimiser = makeOptimiser(model.weights, { betas: [0.5, 0.9] });
  const objective = new Objective(model, { gan: presetNamed('toy').gan, seed: 0 });
  return async (x: tf.Tensor5D, step: number): Promise<{ loss: number; codes: number[] }> => {
    const part = { step, offset: 0, total: x.shape[0], peers: alone };
    const { losses, gradients, latents, codes } = await objective.lossAndGradients(x, part);
    const rows = { offset: 0, total: latents.shape[0], seed: 0, step };
    const statistics = model.quantiser.statistics(latents, codes, rows);
    optimiser.clear();
    for (const [name, gradient] of Object.entries(gradients)) optimiser.add(name, gradient);
    optimiser.clip(clip);
    optimiser.step(learningRate);
    const chosen = [...codes.dataSync()];
    tf.dispose([gradients, latents, codes]);
    model.quantiser.apply(statistics);
    return { loss: losses.loss, codes: chosen };
  };
}

void main();
