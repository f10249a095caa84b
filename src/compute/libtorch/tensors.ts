/** The store of tensors that tfjs asks for. Its data are handles of the addon; lone numbers stay here. */
import * as tf from '@tensorflow/tfjs-core';
import { InvalidArgument } from '../../errors';
import type { Addon, Handle, NativeKernels, RawKernels } from './addon';

const dtypes = ['float32', 'int32', 'bool'] as const;
type Dtype = (typeof dtypes)[number] | 'string';

/** Numbers of a result in the shared array, and the place of its handle among them. */
const RECORD = 16;
const HANDLE = 15;

/** What tfjs calls a data id. */
class Data {
  references = 1;
  constructor(
    readonly dtype: Dtype,
    readonly size: number,
    /** Undefined while the data are only `number`, and after it was freed. */
    public handle: Handle | undefined,
    readonly number?: number,
    /** The data, if they are strings: those stay here, and kernels on the host work on them. */
    readonly strings?: Uint8Array[],
  ) {}
}

/** The number of a type on the native side. */
export function codeOf(dtype = 'float32'): number {
  const code = dtypes.indexOf(dtype as (typeof dtypes)[number]);
  if (code < 0) throw new InvalidArgument('dtype', 'a type that backend libtorch has', dtype, dtypes);
  return code;
}

export class LibtorchTensors extends tf.KernelBackend {
  private readonly results = new Int32Array(4 * RECORD);
  private alive = 0;
  private reclaimed = 0;
  /**
   * Frees tensors that were never disposed and cannot be reached any more, when V8 collects them. V8 does not know how
   * large they are, and so collects them late. `tf.memory()` still counts them in `numTensors`; `reclaimed` counts them too.
   */
  private readonly forgotten = new FinalizationRegistry<Handle>((handle) => {
    this.addon.free(handle);
    this.alive--;
    this.reclaimed++;
  });

  /** The addon's kernels, from tensors to tensors. */
  readonly native: NativeKernels;

  constructor(readonly addon: Addon) {
    super();
    addon.attach(this.results);
    const { kernels, unary, binary, withNumber, reduce } = addon;
    const groups = Object.entries({ unary, binary, withNumber, reduce });
    this.native = {
      ...this.onTensors(kernels),
      ...Object.fromEntries(groups.map(([name, group]) => [name, this.onTensors(group)])),
    } as unknown as NativeKernels;
  }

  /** Kernels of the addon with tensors for handles, as arguments and results. */
  private onTensors(kernels: RawKernels) {
    const argument = (value: unknown): unknown => {
      if (Array.isArray(value)) return typeof value[0] === 'object' ? value.map(argument) : value;
      const isTensor = typeof value === 'object' && value !== null && 'dataId' in value;
      return isTensor ? this.handle(value as tf.TensorInfo) : value;
    };
    const wrapped = Object.entries(kernels).map(([name, kernel]) => [
      name,
      (...args: unknown[]) => {
        const count = kernel(...args.map(argument));
        return count === 1 ? this.made(0) : Array.from({ length: count }, (_, at) => this.made(at));
      },
    ]);
    return Object.fromEntries(wrapped);
  }

  /** What `use` makes of a tensor that nobody needs afterwards. */
  consume<Result>(tensor: tf.TensorInfo, use: (tensor: tf.TensorInfo) => Result): Result {
    try {
      return use(tensor);
    } finally {
      this.disposeData(tensor.dataId);
    }
  }

  /** The handle of a live tensor of this backend. */
  readonly handle = (tensor: tf.TensorInfo): Handle => {
    const data = this.here(tensor);
    if (data.handle !== undefined) return data.handle;
    if (data.strings) throw new InvalidArgument('tensor', 'numbers, for an operation of libtorch', 'strings');
    if (data.references < 1 || data.number === undefined)
      throw new InvalidArgument('tensor', 'one that is not disposed', 'a disposed one');
    this.addon.kernels.fill!([], data.number, codeOf(data.dtype));
    return this.own(data, this.results[HANDLE]!);
  };

  /** The data of a tensor, brought here if another backend made it. */
  private here({ dataId }: tf.TensorInfo): Data {
    if (!(dataId instanceof Data)) tf.engine().moveData(this, dataId);
    return dataId as Data;
  }

  /** The value of a tensor that is a lone number known here. */
  numberOf(tensor: tf.TensorInfo): number | undefined {
    return (tensor.dataId as Data).number;
  }

  /** One of the tensors that the last call of the addon made. */
  private made(at: number): tf.TensorInfo {
    const [code, rank, ...sizes] = this.results.subarray(at * RECORD, at * RECORD + HANDLE);
    const shape = sizes.slice(0, rank);
    const dtype = dtypes[code!]!;
    this.alive++;
    const data = new Data(dtype, tf.util.sizeFromShape(shape), undefined);
    this.own(data, this.results[at * RECORD + HANDLE]!);
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
    return this.native.fromArray(array, shape, codeOf(dtype)).dataId;
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
    const out = new arrays[dtype as keyof typeof arrays](size);
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

  /** tfjs counts tensors' sizes. These are the allocator's figures, and how many leaked tensors were collected. */
  override memory(): { unreliable: boolean; reclaimed: number } & ReturnType<Addon['memory']> {
    return { unreliable: false, reclaimed: this.reclaimed, ...this.addon.memory() };
  }

  override floatPrecision(): 16 | 32 {
    return 32;
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

const arrays = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };
type NumberArray = InstanceType<(typeof arrays)[keyof typeof arrays]>;

function typed(values: tf.BackendValues, dtype: tf.DataType): NumberArray {
  codeOf(dtype);
  if (Object.values(arrays).some((type) => values instanceof type)) return values as NumberArray;
  const numbers = values as unknown as number[];
  return dtype === 'float32' ? Float32Array.from(numbers) : Int32Array.from(numbers);
}
