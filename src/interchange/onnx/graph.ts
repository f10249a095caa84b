import { message } from '../../protobuf';

/** Opset 18: Pad by replication of any axes, ReduceL2 and the rest as onnxruntime has had them since 1.14. */
const OPSET = 18;
const IR_VERSION = 8;
/** Numbers of ONNX's types. */
const FLOAT = 1;
const INT64 = 7;

type Element = 'float' | 'int64';
type Attribute = number | string | readonly number[] | { readonly float: number };

/** An ONNX model in the making. Values are known by name; constants are added once. */
export class OnnxGraph {
  private readonly nodes: Uint8Array[] = [];
  private readonly initialisers = new Map<string, Uint8Array>();
  private readonly inputs: Uint8Array[] = [];
  private readonly outputs: Uint8Array[] = [];

  constructor(private readonly name: string) {}

  input(name: string, element: Element, shape: readonly (number | string)[]): string {
    this.inputs.push(valueInfo(name, element, shape));
    return name;
  }

  /** Gives a value the name of an output. */
  output(value: string, name: string, element: Element, shape: readonly (number | string)[]): void {
    this.nodes.push(nodeProto('Identity', [value], [name], {}));
    this.outputs.push(valueInfo(name, element, shape));
  }

  /** A node of one output; returns that one's name. */
  node(op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const output = `${op.toLowerCase()}_${this.nodes.length}`;
    this.nodes.push(nodeProto(op, inputs, [output], attributes));
    return output;
  }

  /** A constant of floats. */
  floats(name: string, shape: readonly number[], data: Float32Array): string {
    if (!this.initialisers.has(name)) this.initialisers.set(name, tensorProto(name, shape, data));
    return name;
  }

  /** A constant list of whole numbers, or one number of no shape. */
  ints(values: readonly number[] | number): string {
    const list = typeof values === 'number' ? [values] : values;
    const name = typeof values === 'number' ? `int_${values}` : `ints_${values.join('_')}`;
    const shape = typeof values === 'number' ? [] : [list.length];
    if (!this.initialisers.has(name)) this.initialisers.set(name, tensorProto(name, shape, list));
    return name;
  }

  /** The model's file. */
  bytes(metadata: Readonly<Record<string, string>>, version: string): Uint8Array {
    const graph = message(
      [1, this.nodes],
      [2, this.name],
      [5, [...this.initialisers.values()]],
      [11, this.inputs],
      [12, this.outputs],
    );
    const properties = Object.entries(metadata).map(([key, value]) => message([1, key], [2, value]));
    return message(
      [1, IR_VERSION],
      [2, 'patchwise'],
      [3, version],
      [7, graph],
      [8, message([1, ''], [2, OPSET])],
      [14, properties],
    );
  }
}

// The few messages that an export needs. Field numbers are those of
// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.

/** TensorProto */
function tensorProto(
  name: string,
  shape: readonly number[],
  data: Float32Array | readonly number[],
): Uint8Array {
  const raw =
    data instanceof Float32Array
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array(BigInt64Array.from(data.map(BigInt)).buffer);
  return message([1, shape], [2, data instanceof Float32Array ? FLOAT : INT64], [8, name], [9, raw]);
}

/** ValueInfoProto; a text in the shape is a size that is known when the model runs. */
function valueInfo(name: string, element: Element, shape: readonly (number | string)[]): Uint8Array {
  const dims = shape.map((size) => (typeof size === 'number' ? message([1, size]) : message([2, size])));
  const tensor = message([1, element === 'float' ? FLOAT : INT64], [2, message([1, dims])]);
  return message([1, name], [2, message([1, tensor])]);
}

/** NodeProto */
function nodeProto(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>>,
): Uint8Array {
  const encoded = Object.entries(attributes).map(([name, value]) => {
    if (typeof value === 'number') return message([1, name], [3, value], [20, 2]);
    if (typeof value === 'string') return message([1, name], [4, value], [20, 3]);
    if ('float' in value) return message([1, name], [2, value], [20, 1]);
    return message([1, name], [8, value], [20, 7]);
  });
  return message([1, inputs], [2, outputs], [3, outputs[0]], [4, op], [5, encoded]);
}
