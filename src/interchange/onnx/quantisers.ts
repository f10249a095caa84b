/** Quantisers as ONNX nodes: latents [n, codeDim, d, h, w], codes int64 [n, codebooks, d, h, w] from 0 in each. */
import type { ModelConfig } from '../../model/config';
import type { CodeTable } from '../../model/quantisers/onnx';
import { chooseCodes, codeTables } from '../../model/quantisers/registry';
import type { StoredTensor } from '../../safetensors';
import type { OnnxGraph } from './graph';

type State = ReadonlyMap<string, StoredTensor>;

/** Codes of latents and what the decoder gets for them. */
export function quantiser(
  graph: OnnxGraph,
  state: State,
  config: ModelConfig,
  latents: string,
): { codes: string; quantised: string } {
  const rows = graph.node('Transpose', [latents], { perm: [0, 2, 3, 4, 1] }); // [n, d, h, w, codeDim]
  const chosen = chooseCodes(config, graph, rows, tables(graph, state, config));
  const stacked = chosen.map((codes) => graph.node('Unsqueeze', [codes, graph.ints([1])]));
  const codes = stacked.length === 1 ? stacked[0]! : graph.node('Concat', stacked, { axis: 1 });
  return { codes, quantised: embedding(graph, state, config, codes) };
}

/** What the decoder gets for codes. */
export function embedding(graph: OnnxGraph, state: State, config: ModelConfig, codes: string): string {
  const parts = tables(graph, state, config).map((table, b) => {
    const own = graph.node('Gather', [codes, graph.ints(b)], { axis: 1 }); // [n, d, h, w]
    return graph.node('Gather', [table.name, own], { axis: 0 }); // [n, d, h, w, codeDim]
  });
  const sum = parts.reduce((total, part) => graph.node('Add', [total, part]));
  return graph.node('Transpose', [sum], { perm: [0, 4, 1, 2, 3] });
}

/** The codebooks' vectors as constants of the graph. */
function tables(graph: OnnxGraph, state: State, config: ModelConfig): CodeTable[] {
  return codeTables(config, state).map((vectors, b) => ({
    name: graph.floats(`codebook.${b}`, [vectors.length / config.codeDim, config.codeDim], vectors),
    vectors,
  }));
}
