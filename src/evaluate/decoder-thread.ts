/** A worker thread of `decodePatches`: loads the model once, then answers every patch with its reconstruction. */
import { parentPort, workerData } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../compute/backend';
import { VqGan } from '../model/vqgan';
import { usedModel } from '../train/average';
import { readCheckpoint } from '../train/checkpoint';
import { fromModel, toModel } from '../volume/intensity';
import type { DecodedPatch, DecoderPatch, DecoderReply, DecoderSetup } from './decoder-pool';
import { meanOverMirrors } from './mirror';

const setup = workerData as DecoderSetup;
const port = parentPort!;
const model = load();
model.catch((error: Error) => reply({ kind: 'error', message: error.message }));

port.on('message', async (patch: DecoderPatch) => {
  try {
    const decoded = decode(await model, patch);
    reply({ kind: 'patch', ...decoded }, [decoded.data.buffer as ArrayBuffer]);
  } catch (error) {
    reply({ kind: 'error', message: error instanceof Error ? error.message : String(error) });
  }
});

async function load(): Promise<VqGan> {
  await useBackend(setup.backend);
  const checkpoint = readCheckpoint(setup.checkpoint);
  const vqgan = new VqGan(checkpoint.state.config.model, 0);
  vqgan.load(usedModel(checkpoint, setup.use));
  return vqgan;
}

function decode(vqgan: VqGan, { index, data }: DecoderPatch): DecodedPatch {
  const [width, height, depth] = setup.patch;
  const counts = new Float32Array(vqgan.quantiser.size);
  const pass = (input: Float32Array, number: number): Float32Array =>
    tf.tidy(() => {
      const x = tf.tensor5d(input, [1, depth, height, width, 1]); // [1, d, h, w, 1]
      const { codes, quantised } = vqgan.quantise(vqgan.encode(x));
      // The codes of the patch as it is; those of its mirror images would count it several times.
      if (number === 0) for (const code of codes.dataSync<'int32'>()) counts[code]!++;
      return vqgan.decode(quantised).dataSync<'float32'>();
    });
  const values = meanOverMirrors(toModel(data, setup.intensity), setup.patch, setup.mirror, pass);
  return { index, data: fromModel(values, setup.intensity), counts };
}

function reply(message: DecoderReply, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}
