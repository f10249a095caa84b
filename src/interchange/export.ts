import { join } from 'node:path';
import { replaceFile, replaceFileBy, writeTo } from '../atomic-file';
import { makeFolder } from '../make-folder';
import { decode } from '../model/decoder';
import { encode } from '../model/encoder';
import { codeCount } from '../model/quantisers/registry';
import { version } from '../package';
import type { ModelSource, PassOptions } from '../reconstruct/pass';
import { writeSafetensors } from '../safetensors';
import { OnnxGraph } from './onnx/graph';
import { OnnxLayers } from './onnx/layers';
import { embedding, quantiser } from './onnx/quantisers';
import { fromTorch } from './torch';
import { readTrained, type Trained } from './trained';

/** Which checkpoint of a run, and which of its weights; defaults as in `reconstruct`. */
export type ExportOptions = Pick<PassOptions, 'checkpoint' | 'use'>;

/**
 * Writes a trained generator as safetensors with the names and the layout of the PyTorch model (medicaldiffusion's
 * `VQGAN`): `load_state_dict(safetensors.torch.load_file(path), strict=False)` takes it, its discriminators aside. The
 * model's configuration is in the file's metadata.
 */
export async function exportSafetensors(
  model: ModelSource,
  path: string,
  options: ExportOptions = {},
): Promise<void> {
  const { arrays, metadata } = await readTrained(model, options);
  writeTo('output', path, () =>
    replaceFileBy(path, (temporary) => writeSafetensors(temporary, arrays, { format: 'pt', ...metadata })),
  );
}

/** Which part of the model an ONNX file holds. */
export const onnxParts = ['encoder', 'quantiser', 'embedding', 'decoder'] as const;

/**
 * Writes a trained generator as ONNX, opset 18, for onnxruntime. Batch and sizes are free, sizes being multiples of the
 * downsampling; patches are float32 in [-1, 1], [n, 1, d, h, w], codes int64.
 *
 * A path that ends in `.onnx` becomes one model from `patch` to `reconstruction`, `codes`, `latents` and `quantised`.
 * Any other path is a folder, with `encoder.onnx` (patch to latents), `quantiser.onnx` (latents to codes and
 * quantised), `embedding.onnx` (codes to quantised) and `decoder.onnx` (quantised to reconstruction). The search for the
 * nearest code holds a score for every latent and code at once.
 *
 * ```ts
 * const [run] = await pw.listRuns();
 * await pw.exportOnnx(run!, 'model.onnx');
 * ```
 * @returns the files written
 */
export async function exportOnnx(
  model: ModelSource,
  path: string,
  options: ExportOptions = {},
): Promise<string[]> {
  const trained = await readTrained(model, options);
  const write = (file: string, graph: OnnxGraph): string => {
    writeTo('output', file, () => replaceFile(file, graph.bytes(trained.metadata, version())));
    return file;
  };
  if (path.endsWith('.onnx')) return [write(path, graphOf('vqgan', trained))];
  writeTo('output', path, () => makeFolder(path));
  return onnxParts.map((part) => write(join(path, `${part}.onnx`), graphOf(part, trained)));
}

const FULL = ['n', 1, 'd', 'h', 'w'] as const;
const SMALL = ['latent_d', 'latent_h', 'latent_w'] as const;

/** Encoder, quantiser and decoder in one graph, or one part of them. */
function graphOf(
  part: (typeof onnxParts)[number] | 'vqgan',
  { config: { model: config }, arrays }: Trained,
): OnnxGraph {
  const graph = new OnnxGraph(part);
  const layers = new OnnxLayers(graph, arrays, config.groups);
  const vectors = ['n', config.codeDim, ...SMALL] as const;
  const values = {
    patch: ['float', FULL],
    latents: ['float', vectors],
    codes: ['int64', ['n', codeCount(config) / config.codes, ...SMALL]],
    quantised: ['float', vectors],
    reconstruction: ['float', FULL],
  } as const;
  const input = (name: keyof typeof values) => graph.input(name, values[name][0], values[name][1]);
  const output = (name: keyof typeof values, value: string) =>
    graph.output(value, name, values[name][0], values[name][1]);
  switch (part) {
    case 'encoder':
      output('latents', encode(input('patch'), layers, config));
      break;
    case 'quantiser': {
      const { codes, quantised } = quantiser(graph, ours(arrays), config, input('latents'));
      output('codes', codes);
      output('quantised', quantised);
      break;
    }
    case 'embedding':
      output('quantised', embedding(graph, ours(arrays), config, input('codes')));
      break;
    case 'decoder':
      output('reconstruction', decode(input('quantised'), layers, config));
      break;
    case 'vqgan': {
      const latents = encode(input('patch'), layers, config);
      const { codes, quantised } = quantiser(graph, ours(arrays), config, latents);
      output('reconstruction', decode(quantised, layers, config));
      output('codes', codes);
      output('latents', latents);
      output('quantised', quantised);
    }
  }
  return graph;
}

/** The quantiser's arrays in our layout. */
function ours(arrays: Trained['arrays']): Trained['arrays'] {
  const own = [...arrays].filter(([name]) => name.startsWith('codebook.'));
  return new Map(own.map(([name, array]) => [name, fromTorch(name, array)]));
}
