/** The model's layers as ONNX nodes, on tensors [n, c, d, h, w]. */
import { type ModelConfig, type Stride, stages } from '../../model/config';
import { decoderBlockNames, decoderStages, upName } from '../../model/decoder';
import { downName, encoderBlockNames } from '../../model/encoder';
import { EPSILON } from '../../model/layers';
import type { StateArray } from '../../model/weights';
import type { OnnxGraph } from './graph';

/** Weights in PyTorch's layout, which is ONNX's too. */
export type TorchWeights = ReadonlyMap<string, StateArray>;

/** [n, 1, d, h, w] to latents [n, codeDim, d', h', w'] */
export function encoder(graph: OnnxGraph, weights: TorchWeights, config: ModelConfig, x: string): string {
  let h = conv(graph, weights, 'encoder.conv_first', x);
  stages(config).forEach(({ stride }, i) => {
    h = conv(graph, weights, downName(i), h, stride);
    for (const name of encoderBlockNames(config, i)) h = resBlock(graph, weights, config, name, h);
  });
  h = normSilu(graph, weights, config, 'encoder.final_block.0', h);
  return conv(graph, weights, 'pre_vq_conv', h);
}

/** [n, codeDim, d', h', w'] to [n, 1, d, h, w] */
export function decoder(graph: OnnxGraph, weights: TorchWeights, config: ModelConfig, q: string): string {
  let h = conv(graph, weights, 'post_vq_conv', q);
  h = normSilu(graph, weights, config, 'decoder.final_block.0', h);
  decoderStages(config).forEach(({ stride }, i) => {
    h = convTranspose(graph, weights, upName(i), h, stride);
    for (const name of decoderBlockNames(config, i)) h = resBlock(graph, weights, config, name, h);
  });
  return conv(graph, weights, 'decoder.conv_last', h);
}

function resBlock(
  graph: OnnxGraph,
  weights: TorchWeights,
  config: ModelConfig,
  name: string,
  x: string,
): string {
  let h = normSilu(graph, weights, config, `${name}.norm1`, x);
  h = conv(graph, weights, `${name}.conv1`, h);
  h = normSilu(graph, weights, config, `${name}.norm2`, h);
  return graph.node('Add', [x, conv(graph, weights, `${name}.conv2`, h)]);
}

function conv(
  graph: OnnxGraph,
  weights: TorchWeights,
  name: string,
  x: string,
  stride: Stride = [1, 1, 1],
): string {
  const kernel = weights.get(`${name}.conv.weight`)!.shape.slice(2);
  const inputs = [padded(graph, x, kernel, stride), ...parameters(graph, weights, `${name}.conv`)];
  return graph.node('Conv', inputs, { kernel_shape: kernel, strides: stride });
}

function convTranspose(
  graph: OnnxGraph,
  weights: TorchWeights,
  name: string,
  x: string,
  stride: Stride,
): string {
  const kernel = weights.get(`${name}.convt.weight`)!.shape.slice(2);
  const crop = kernel.map((size) => size - 1);
  const inputs = [padded(graph, x, kernel, stride), ...parameters(graph, weights, `${name}.convt`)];
  return graph.node('ConvTranspose', inputs, {
    kernel_shape: kernel,
    strides: stride,
    pads: [...crop, ...crop],
  });
}

/** "Same" padding by replication: kernel - stride voxels in all, the larger half in front. */
function padded(graph: OnnxGraph, x: string, kernel: readonly number[], stride: Stride): string {
  const before = kernel.map((size, axis) => Math.ceil((size - stride[axis]!) / 2));
  const after = kernel.map((size, axis) => Math.floor((size - stride[axis]!) / 2));
  if (Math.max(...before) === 0) return x;
  return graph.node('Pad', [x, graph.ints([0, 0, ...before, 0, 0, ...after])], { mode: 'edge' });
}

/**
 * GroupNorm, then SiLU. The norm is an InstanceNormalization of the groups seen as channels: GroupNormalization is
 * right from opset 21 on alone, which older runtimes do not have.
 */
function normSilu(
  graph: OnnxGraph,
  weights: TorchWeights,
  config: ModelConfig,
  name: string,
  x: string,
): string {
  const { shape, data: gamma } = weights.get(`${name}.weight`)!;
  const channels = shape[0]!;
  const groups = Math.min(config.groups, channels);
  const grouped = graph.node('Reshape', [x, graph.ints([0, groups, -1])]);
  const ones = graph.floats(`ones_${groups}`, [groups], new Float32Array(groups).fill(1));
  const zeros = graph.floats(`zeros_${groups}`, [groups], new Float32Array(groups));
  const normed = graph.node('InstanceNormalization', [grouped, ones, zeros], { epsilon: { float: EPSILON } });
  const back = graph.node('Reshape', [normed, graph.node('Shape', [x])]);
  const perChannel = [1, channels, 1, 1, 1];
  const scaled = graph.node('Mul', [back, graph.floats(`${name}.weight`, perChannel, gamma)]);
  const beta = graph.floats(`${name}.bias`, perChannel, weights.get(`${name}.bias`)!.data);
  const y = graph.node('Add', [scaled, beta]);
  return graph.node('Mul', [y, graph.node('Sigmoid', [y])]);
}

function parameters(graph: OnnxGraph, weights: TorchWeights, name: string): string[] {
  return ['weight', 'bias'].map((part) => {
    const { shape, data } = weights.get(`${name}.${part}`)!;
    return graph.floats(`${name}.${part}`, shape, data);
  });
}
