/** How quantisers say in ONNX which code they choose. */

/** What quantisers ask of a graph. Nodes and constants go by their names. */
export interface GraphBuilder {
  /** Adds a node with one output, and returns the output's name. */
  node(
    op: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, number | readonly number[]>>,
  ): string;
  floats(name: string, shape: readonly number[], data: Float32Array): string;
  ints(values: readonly number[] | number): string;
}

/** A codebook's vectors [codes, width], also as a constant of the graph. */
export interface CodeTable {
  readonly name: string;
  readonly vectors: Float32Array;
}

/** For each codebook the code nearest to what the codebooks before it left over. */
export function chooseNearest(
  graph: GraphBuilder,
  rows: string,
  width: number,
  tables: readonly CodeTable[],
): string[] {
  let left = rows;
  return tables.map((table, b) => {
    const codes = nearest(graph, left, width, table);
    if (b + 1 < tables.length)
      left = graph.node('Sub', [left, graph.node('Gather', [table.name, codes], { axis: 0 })]);
    return codes;
  });
}

/** The code with the largest <z, e> - |e|^2 / 2: the nearest one. */
function nearest(graph: GraphBuilder, rows: string, width: number, { name, vectors }: CodeTable): string {
  const count = vectors.length / width;
  const turned = new Float32Array(vectors.length);
  const starts = new Float32Array(count);
  for (let code = 0; code < count; code++) {
    let square = 0;
    for (let i = 0; i < width; i++) {
      const value = vectors[code * width + i]!;
      turned[i * count + code] = value;
      square += value * value;
    }
    starts[code] = -square / 2;
  }
  const products = graph.node('MatMul', [rows, graph.floats(`${name}.turned`, [width, count], turned)]);
  const scores = graph.node('Add', [products, graph.floats(`${name}.starts`, [count], starts)]);
  return graph.node('ArgMax', [scores], { axis: -1, keepdims: 0 });
}

/** Rows of unit length. */
export function unit(graph: GraphBuilder, rows: string): string {
  const lengths = graph.node('ReduceL2', [rows, graph.ints([-1])], { keepdims: 1 });
  const least = graph.floats('cosine.least', [], Float32Array.of(1e-6));
  return graph.node('Div', [rows, graph.node('Max', [lengths, least])]);
}

/** Sum over the last axis of whole numbers times weights, as int64. */
export function weightedSum(graph: GraphBuilder, numbers: string, weights: string): string {
  const products = graph.node('Mul', [numbers, weights]);
  const sum = graph.node('ReduceSum', [products, graph.ints([-1])], { keepdims: 0 });
  return graph.node('Cast', [sum], { to: 7 });
}
