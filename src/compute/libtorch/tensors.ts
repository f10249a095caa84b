/** The store of tensors that tfjs asks for: its data are handles of the addon, its lone numbers stay here. */
import * as tf from '@tensorflow/tfjs-core';
import { InvalidArgument } from '../../errors';
import type { Addon, Handle } from './addon';

const dtypes = ['float32', 'int32', 'bool'] as const;
type Dtype = (typeof dtypes)[number] | 'string';

/** Numbers a result takes in the shared array; where its handle is in them. */
const RECORD = 16;
const HANDLE = 15;

/** What tfjs calls a data id. */
class Data {
  references = 1;
  constructor(
    readonly dtype: Dtype,
    readonly size: number,
    /** Undefined while the data are `number` alone, and after it was freed. */
    public handle: Handle | undefined,
    readonly number?: number,
    /** The data, where they are strings: those stay here, and kernels on the host work on them. */
    readonly strings?: Uint8Array[],
  ) {}
}

/** The number of a type on the native side. */
export function codeOf(dtype: string): number {
  const code = dtypes.indexOf(dtype as (typeof dtypes)[number]);
  if (code < 0) throw new InvalidArgument('dtype', 'a type that backend libtorch has', dtype, dtypes);
  return code;
}

export class LibtorchTensors extends tf.KernelBackend {
  private readonly results = new Int32Array(4 * RECORD);
  private alive = 0;
  private reclaimed = 0;
  /**
   * Frees tensors that were never disposed of and cannot be reached any more, when V8 collects them. V8 does so late, as
   * it does not know how large they are. `tf.memory()` still counts them in `numTensors`; `reclaimed` is their number.
   */
  private readonly forgotten = new FinalizationRegistry<Handle>((handle) => {
    this.addon.free(handle);
    this.alive--;
    this.reclaimed++;
  });

  constructor(readonly addon: Addon) {
    super();
    addon.attach(this.results);
  }

  /** The handle of a live tensor of this backend. */
  handle(tensor: tf.TensorInfo): Handle {
    const data = this.here(tensor);
    if (data.handle !== undefined) return data.handle;
    if (data.strings) throw new InvalidArgument('tensor', 'numbers, for an operation of libtorch', 'strings');
    if (data.references < 1 || data.number === undefined)
      throw new InvalidArgument('tensor', 'one that is not disposed', 'a disposed one');
    this.addon.fill([], data.number, codeOf(data.dtype));
    return this.own(data, this.results[HANDLE]!);
  }

  /** The data of a tensor, brought here where another backend made it. */
  private here({ dataId }: tf.TensorInfo): Data {
    if (!(dataId instanceof Data)) tf.engine().moveData(this, dataId);
    return dataId as Data;
  }

  /** The value of a tensor that is a lone number known here. */
  numberOf(tensor: tf.TensorInfo): number | undefined {
    return (tensor.dataId as Data).number;
  }

  /** The tensor that the last call on the addon made; `at` for one of several. */
  made(at = 0): tf.TensorInfo {
    const start = at * RECORD;
    const { results } = this;
    const rank = results[start + 1]!;
    const shape = Array.from(results.subarray(start + 2, start + 2 + rank));
    const dtype = dtypes[results[start]!]!;
    this.alive++;
    const size = shape.reduce((product, length) => product * length, 1);
    const data = new Data(dtype, size, undefined);
    this.own(data, results[start + HANDLE]!);
    return { dataId: data, shape, dtype };
  }

  private own(data: Data, handle: Handle): Handle {
    data.handle = handle;
    this.forgotten.register(data, handle, data);
    return handle;
  }

  /** Another tensor of the same data. */
  share(tensor: tf.TensorInfo): tf.TensorInfo {
    this.here(tensor).references++;
    return { dataId: tensor.dataId, shape: tensor.shape, dtype: tensor.dtype };
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): tf.DataId {
    if (dtype === 'string') {
      this.alive++;
      const strings = values as Uint8Array[];
      return new Data('string', strings.length, undefined, undefined, strings);
    }
    const array = typed(values, dtype);
    if (shape.length === 0) {
      this.alive++;
      return new Data(dtype as Dtype, 1, undefined, array[0]!);
    }
    this.addon.fromArray(array, shape, codeOf(dtype));
    return this.made().dataId;
  }

  override move(
    dataId: tf.DataId,
    values: tf.BackendValues,
    shape: number[],
    dtype: tf.DataType,
    references: number,
  ): void {
    const made = this.write(values, shape, dtype) as Data;
    Object.assign(dataId, made, { references });
    Object.setPrototypeOf(dataId, Data.prototype);
    this.forgotten.unregister(made);
    if (made.handle !== undefined) this.own(dataId as Data, made.handle);
  }

  override readSync(dataId: tf.DataId): tf.BackendValues {
    const { dtype, size, handle, number, strings } = dataId as Data;
    if (strings) return strings;
    const out = emptyArray(dtype, size);
    if (number !== undefined) out[0] = number;
    else if (handle === undefined)
      throw new InvalidArgument('tensor', 'one that is not disposed', 'a disposed one');
    else this.addon.toArray(handle, out);
    return out;
  }

  override async read(dataId: tf.DataId): Promise<tf.BackendValues> {
    return this.readSync(dataId);
  }

  override refCount(dataId: tf.DataId): number {
    return (dataId as Data).references;
  }

  override incRef(dataId: tf.DataId): void {
    (dataId as Data).references++;
  }

  /** Frees at once: the memory is there for the next tensor when this returns. */
  override disposeData(dataId: tf.DataId, force = false): boolean {
    const data = dataId as Data;
    if (--data.references > 0 && !force) return false;
    data.references = 0;
    if (data.handle !== undefined) {
      this.forgotten.unregister(data);
      this.addon.free(data.handle);
    }
    data.handle = undefined;
    this.alive--;
    return true;
  }

  override numDataIds(): number {
    return this.alive;
  }

  /** tfjs's figures are tensors' sizes; these are the allocator's, and the tensors that were leaked and collected. */
  override memory(): { unreliable: boolean; reclaimed: number } & ReturnType<Addon['memory']> {
    return { unreliable: false, reclaimed: this.reclaimed, ...this.addon.memory() };
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override timerAvailable(): boolean {
    return true;
  }

  override async time(run: () => void): Promise<tf.BackendTimingInfo> {
    const start = performance.now();
    run();
    return { kernelMs: performance.now() - start };
  }

  override dispose(): void {
    this.addon.releaseCache();
  }
}

type NumberArray = Float32Array | Int32Array | Uint8Array;

function emptyArray(dtype: Dtype, size: number): NumberArray {
  if (dtype === 'float32') return new Float32Array(size);
  return dtype === 'int32' ? new Int32Array(size) : new Uint8Array(size);
}

function typed(values: tf.BackendValues, dtype: tf.DataType): NumberArray {
  codeOf(dtype);
  if (values instanceof Float32Array || values instanceof Int32Array || values instanceof Uint8Array)
    return values;
  const numbers = values as unknown as number[];
  return dtype === 'float32' ? Float32Array.from(numbers) : Int32Array.from(numbers);
}
