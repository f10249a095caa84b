/** Quantisers as ONNX nodes: latents [n, codeDim, d, h, w], codes int64 [n, codebooks, d, h, w] from 0 in each. */
import type { ModelConfig } from '../../model/config';
import { boundsOf } from '../../model/quantisers/finite-scalar';
import { quantiserSettings } from '../../model/quantisers/options';
import { codeTables } from '../../model/quantisers/tables';
import type { StateArray } from '../../model/weights';
import type { OnnxGraph } from './graph';

type State = ReadonlyMap<string, StateArray>;

/** Codes of latents and what the decoder gets for them. */
export function quantiser(
  graph: OnnxGraph,
  state: State,
  config: ModelConfig,
  latents: string,
): { codes: string; quantised: string } {
  const rows = graph.node('Transpose', [latents], { perm: [0, 2, 3, 4, 1] }); // [n, d, h, w, codeDim]
  const chosen = chooser(graph, state, config)(rows);
  const stacked = chosen.map((codes) => graph.node('Unsqueeze', [codes, graph.ints([1])]));
  const codes = stacked.length === 1 ? stacked[0]! : graph.node('Concat', stacked, { axis: 1 });
  return { codes, quantised: embedding(graph, state, config, codes) };
}

/** What the decoder gets for codes. */
export function embedding(graph: OnnxGraph, state: State, config: ModelConfig, codes: string): string {
  const parts = tables(graph, state, config).map((table, b) => {
    const own = graph.node('Gather', [codes, graph.ints(b)], { axis: 1 }); // [n, d, h, w]
    return graph.node('Gather', [table, own], { axis: 0 }); // [n, d, h, w, codeDim]
  });
  const sum = parts.reduce((total, part) => graph.node('Add', [total, part]));
  return graph.node('Transpose', [sum], { perm: [0, 4, 1, 2, 3] });
}

/** Makes of latents [n, d, h, w, codeDim] the codes [n, d, h, w] of each codebook. */
function chooser(graph: OnnxGraph, state: State, config: ModelConfig): (rows: string) => string[] {
  const { quantiser: kind, levels, gain, cosine } = quantiserSettings(config);
  if (kind === 'fsq') return (rows) => [finiteScalar(graph, levels, gain, rows)];
  if (kind === 'lfq') return (rows) => [signs(graph, config.codeDim, rows)];
  const names = tables(graph, state, config);
  const arrays = codeTables(config, state);
  return (rows) => {
    let left = cosine ? unit(graph, rows) : rows;
    return names.map((name, b) => {
      const codes = nearest(graph, arrays[b]!, config.codeDim, name, left);
      if (b + 1 < names.length)
        left = graph.node('Sub', [left, graph.node('Gather', [name, codes], { axis: 0 })]);
      return codes;
    });
  };
}

/** The code with the largest <z, e> - |e|^2 / 2: the nearest one. */
function nearest(graph: OnnxGraph, table: Float32Array, width: number, name: string, rows: string): string {
  const count = table.length / width;
  const turned = new Float32Array(table.length);
  const starts = new Float32Array(count);
  for (let code = 0; code < count; code++) {
    let square = 0;
    for (let i = 0; i < width; i++) {
      const value = table[code * width + i]!;
      turned[i * count + code] = value;
      square += value * value;
    }
    starts[code] = -square / 2;
  }
  const products = graph.node('MatMul', [rows, graph.floats(`${name}.turned`, [width, count], turned)]);
  const scores = graph.node('Add', [products, graph.floats(`${name}.starts`, [count], starts)]);
  return graph.node('ArgMax', [scores], { axis: -1, keepdims: 0 });
}

function finiteScalar(graph: OnnxGraph, levels: readonly number[], gain: number, rows: string): string {
  const { scales, offsets, shifts } = boundsOf(levels);
  const constant = (name: string, values: readonly number[]) =>
    graph.floats(`fsq.${name}`, [levels.length], Float32Array.from(values));
  const amplified = graph.node('Mul', [rows, graph.floats('fsq.gain', [], Float32Array.of(gain))]);
  const shifted = graph.node('Add', [amplified, constant('shifts', shifts)]);
  const scaled = graph.node('Mul', [graph.node('Tanh', [shifted]), constant('scales', scales)]);
  const rounded = graph.node('Round', [graph.node('Sub', [scaled, constant('offsets', offsets)])]);
  const halves = levels.map((count) => Math.floor(count / 2));
  const basis = levels.map((_, i) => levels.slice(0, i).reduce((product, count) => product * count, 1));
  const numbers = graph.node('Add', [rounded, constant('halves', halves)]);
  return weightedSum(graph, numbers, constant('basis', basis));
}

function signs(graph: OnnxGraph, width: number, rows: string): string {
  const zero = graph.floats('lfq.zero', [], new Float32Array(1));
  const bits = graph.node('Cast', [graph.node('Greater', [rows, zero])], { to: 1 });
  const values = Float32Array.from({ length: width }, (_, i) => 2 ** (width - 1 - i));
  return weightedSum(graph, bits, graph.floats('lfq.values', [width], values));
}

/** Sum over the last axis of whole numbers times weights, as int64. */
function weightedSum(graph: OnnxGraph, numbers: string, weights: string): string {
  const sum = graph.node('ReduceSum', [graph.node('Mul', [numbers, weights]), graph.ints([-1])], {
    keepdims: 0,
  });
  return graph.node('Cast', [sum], { to: 7 });
}

function unit(graph: OnnxGraph, rows: string): string {
  const lengths = graph.node('ReduceL2', [rows, graph.ints([-1])], { keepdims: 1 });
  const least = graph.floats('cosine.least', [], Float32Array.of(1e-6));
  return graph.node('Div', [rows, graph.node('Max', [lengths, least])]);
}

function tables(graph: OnnxGraph, state: State, config: ModelConfig): string[] {
  return codeTables(config, state).map((table, b) =>
    graph.floats(`codebook.${b}`, [table.length / config.codeDim, config.codeDim], table),
  );
}
