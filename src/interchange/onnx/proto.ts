/**
 * The few messages of ONNX that an export needs. Field numbers are those of
 * https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
 */
import { message } from '../../protobuf';

const FLOAT = 1;
const INT64 = 7;

export type Element = 'float' | 'int64';

/** TensorProto */
export function tensorProto(
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
export function valueInfo(name: string, element: Element, shape: readonly (number | string)[]): Uint8Array {
  const dims = shape.map((size) => (typeof size === 'number' ? message([1, size]) : message([2, size])));
  const tensor = message([1, element === 'float' ? FLOAT : INT64], [2, message([1, dims])]);
  return message([1, name], [2, message([1, tensor])]);
}

export type Attribute = number | string | readonly number[] | { readonly float: number };

/** NodeProto */
export function nodeProto(
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
