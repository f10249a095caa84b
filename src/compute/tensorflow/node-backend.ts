/** What is used of tfjs-node, which is no dependency of ours: its backend class and its addon. */
import type * as tf from '@tensorflow/tfjs-core';

/** The addon: TensorFlow's eager C interface. Numbers name its types. */
export interface Binding {
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_Version: string;
  isUsingGpuDevice(): boolean;
}

/** One attribute of a TensorFlow operation. */
export interface OpAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | string | readonly number[];
}

/** tfjs-node's backend. Its results belong to tfjs's engine and to the `tf.tidy` they are made in. */
export interface NodeBackend extends tf.KernelBackend {
  readonly binding: Binding;
  /** Runs any operation of TensorFlow that has one output. @throws Error with TensorFlow's message. */
  executeSingleOutput(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: readonly tf.Tensor[],
  ): tf.Tensor;
}

/** The modules of tfjs-node that are loaded. */
export interface NodeBackendModule {
  readonly NodeJSKernelBackend: new (binding: Binding, packageName: string) => NodeBackend;
}
