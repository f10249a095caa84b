/** A worker thread of `passPatches`: loads the model once, then answers every patch with what it made of it. */
import { existsSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { setPrecision } from '../compute/contract/registry';
import { useBackend } from '../compute/use-backend';
import { UnreadableFile } from '../errors';
import { countCodes } from '../model/quantisers/quantiser';
import { VqGan } from '../model/vqgan';
import { type Checkpoint, readCheckpoint } from '../train/record/checkpoint';
import { usedModel } from '../train/record/choose-checkpoint';
import type { AxisName } from '../vec3';
import { failureOf } from '../volume/base/failure';
import { fromModel, toModel } from '../volume/intensity';
import { meanOverMirrors } from './mirror';
import {
  forecastDeviceOf,
  type ModelPatch,
  mostWorkers,
  type PassedPatch,
  type ThreadReply,
  type ThreadSetup,
  workerBytes,
} from './model-threads';

const setup = workerData as ThreadSetup;
const port = parentPort!;
const model = load();
model.catch((error) => reply({ kind: 'error', failed: failureOf(error) }));

port.on('message', async (patch: ModelPatch) => {
  try {
    const passed = pass(await model, patch);
    reply({ kind: 'patch', ...passed }, [passed.data.buffer as ArrayBuffer]);
  } catch (error) {
    reply({ kind: 'error', failed: failureOf(error) });
  }
});

async function load(): Promise<VqGan> {
  const backend = await useBackend(setup.backend);
  const checkpoint = readChosen(setup.checkpoint);
  const { config } = checkpoint.state;
  // As it was trained and validated, if this backend can.
  const wanted = config.precision ?? 'float32';
  const precision = backend.precisions.includes(wanted) ? wanted : 'float32';
  setPrecision(precision);
  const vqgan = new VqGan(config.model, 0);
  vqgan.load(usedModel(checkpoint, setup.use));
  const bytes = workerBytes(config.model, setup.patch, forecastDeviceOf(backend), precision);
  reply({ kind: 'ready', workers: mostWorkers(backend, bytes) });
  return vqgan;
}

/** A run that trains may have removed the checkpoint since it was chosen. */
function readChosen(dir: string): Checkpoint {
  try {
    return readCheckpoint(dir);
  } catch (error) {
    if (existsSync(dir)) throw error;
    const found =
      'none any more, for its run has newer ones; run the same again, or take the best checkpoint';
    throw new UnreadableFile(dir, 'a checkpoint', found, { cause: error });
  }
}

function pass(vqgan: VqGan, patch: ModelPatch): PassedPatch {
  if (setup.work === 'reconstruct') return reconstruct(vqgan, patch, setup.mirror);
  return setup.work === 'encode' ? encode(vqgan, patch, setup.latents) : decode(vqgan, patch);
}

function reconstruct(vqgan: VqGan, { index, data }: ModelPatch, axes: readonly AxisName[]): PassedPatch {
  let counts: Float32Array = new Float32Array(0);
  const once = (input: Float32Array, number: number): Float32Array =>
    tf.tidy(() => {
      const { codes, quantised } = vqgan.quantise(vqgan.encode(patchTensor(input)));
      // The codes of the patch as it is; those of its mirror images would count it several times.
      if (number === 0) counts = countCodes(codes.dataSync<'int32'>(), vqgan.quantiser.size);
      return vqgan.decode(quantised).dataSync<'float32'>();
    });
  const values = meanOverMirrors(toModel(data, setup.intensity), setup.patch, axes, once);
  return { index, data: fromModel(values, setup.intensity), counts };
}

function encode(vqgan: VqGan, { index, data }: ModelPatch, withLatents = false): PassedPatch {
  return tf.tidy(() => {
    const z = vqgan.encode(patchTensor(toModel(data, setup.intensity)));
    const codes = vqgan.quantise(z).codes.dataSync<'int32'>();
    const latents = withLatents ? { latents: z.dataSync<'float32'>().slice() } : {};
    const counts = countCodes(codes, vqgan.quantiser.size);
    return { index, data: Float32Array.from(codes), counts, ...latents };
  });
}

function decode(vqgan: VqGan, { index, data }: ModelPatch): PassedPatch {
  const [width, height, depth] = setup.patch.map((n, axis) => n / vqgan.config.downsample[axis]!);
  return tf.tidy(() => {
    const y = vqgan.decode(vqgan.embed(data, [depth!, height!, width!]));
    const counts = countCodes(data, vqgan.quantiser.size);
    return { index, data: fromModel(y.dataSync<'float32'>(), setup.intensity), counts };
  });
}

/** [1, d, h, w, 1] */
function patchTensor(values: Float32Array): tf.Tensor5D {
  const [width, height, depth] = setup.patch;
  return tf.tensor5d(values, [1, depth, height, width, 1]);
}

function reply(message: ThreadReply, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}
