/** The layers of encoder and decoder as ONNX nodes, on tensors [n, c, d, h, w]. */
import { type BlockLayers, type ConvolutionSize, EPSILON, type Layers, resBlock } from '../../model/layers';
import type { StoredTensor } from '../../safetensors';
import type { OnnxGraph } from './graph';

export class OnnxLayers implements Layers<string>, BlockLayers<string> {
  /** @param weights in PyTorch's layout, which is ONNX's too */
  constructor(
    private readonly graph: OnnxGraph,
    private readonly weights: ReadonlyMap<string, StoredTensor>,
    private readonly groups: number,
  ) {}

  conv(x: string, name: string, { kernel, stride = [1, 1, 1] }: Omit<ConvolutionSize, 'channels'>): string {
    const inputs = [this.padded(x, kernel, stride), ...this.parameters(`${name}.conv`)];
    return this.graph.node('Conv', inputs, { kernel_shape: [kernel, kernel, kernel], strides: stride });
  }

  convTranspose(x: string, name: string, { kernel, stride = [1, 1, 1] }: ConvolutionSize): string {
    const inputs = [this.padded(x, kernel, stride), ...this.parameters(`${name}.convt`)];
    const pads = new Array<number>(6).fill(kernel - 1);
    const attributes = { kernel_shape: [kernel, kernel, kernel], strides: stride, pads };
    return this.graph.node('ConvTranspose', inputs, attributes);
  }

  /**
   * The norm is an InstanceNormalization of the groups seen as channels: GroupNormalization is right from opset 21 on
   * only, which older runtimes do not have.
   */
  normSilu(x: string, name: string): string {
    const { graph, weights } = this;
    const { shape, data: gamma } = weights.get(`${name}.weight`)!;
    const channels = shape[0]!;
    const groups = Math.min(this.groups, channels);
    const grouped = graph.node('Reshape', [x, graph.ints([0, groups, -1])]);
    const ones = graph.floats(`ones_${groups}`, [groups], new Float32Array(groups).fill(1));
    const zeros = graph.floats(`zeros_${groups}`, [groups], new Float32Array(groups));
    const epsilon = { float: EPSILON };
    const normed = graph.node('InstanceNormalization', [grouped, ones, zeros], { epsilon });
    const back = graph.node('Reshape', [normed, graph.node('Shape', [x])]);
    const perChannel = [1, channels, 1, 1, 1];
    const scaled = graph.node('Mul', [back, graph.floats(`${name}.weight`, perChannel, gamma)]);
    const beta = graph.floats(`${name}.bias`, perChannel, weights.get(`${name}.bias`)!.data);
    const y = graph.node('Add', [scaled, beta]);
    return graph.node('Mul', [y, graph.node('Sigmoid', [y])]);
  }

  block(x: string, name: string): string {
    return resBlock(x, name, this);
  }

  normSiluConv(x: string, norm: string, conv: string): string {
    return this.conv(this.normSilu(x, norm), conv, { kernel: 3 });
  }

  add(a: string, b: string): string {
    return this.graph.node('Add', [a, b]);
  }

  /** "Same" padding by replication: kernel - stride voxels in all, the larger half in front. */
  private padded(x: string, kernel: number, stride: readonly number[]): string {
    const before = stride.map((step) => Math.ceil((kernel - step) / 2));
    const after = stride.map((step) => Math.floor((kernel - step) / 2));
    if (Math.max(...before) === 0) return x;
    const pads = this.graph.ints([0, 0, ...before, 0, 0, ...after]);
    return this.graph.node('Pad', [x, pads], { mode: 'edge' });
  }

  private parameters(name: string): string[] {
    return ['weight', 'bias'].map((part) => {
      const { shape, data } = this.weights.get(`${name}.${part}`)!;
      return this.graph.floats(`${name}.${part}`, shape, data);
    });
  }
}
