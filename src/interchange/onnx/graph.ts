import { message } from '../../protobuf';
import { type Attribute, type Element, nodeProto, tensorProto, valueInfo } from './proto';

/** Opset 18: Pad by replication of any axes, ReduceL2 and the rest as onnxruntime has had them since 1.14. */
const OPSET = 18;
const IR_VERSION = 8;

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
