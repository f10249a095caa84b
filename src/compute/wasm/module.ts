/** Our SIMD module on the memory of tfjs's wasm backend: addresses of tensors, scratch memory, the functions. */
import type * as tf from '@tensorflow/tfjs-core';
import { OutOfMemory } from '../../errors';
import { instantiate, simdModule } from '../../memory/simd';

/** The functions of `simd/index.ts`. */
type SimdFunction = 'convolve' | 'correlate' | 'padRows' | 'channelSums' | 'nearestCodes' | NormFunction;
export type NormFunction = 'groupNorm' | 'normalise' | 'groupNormGradient';

/** What is used of tfjs's compiled module. */
interface TfjsModule {
  readonly asm?: { readonly memory?: { readonly buffer: ArrayBuffer } };
  _malloc(bytes: number): number;
  _free(address: number): void;
}

/** What is used of tfjs's BackendWasm. */
interface TfjsWasm extends tf.KernelBackend {
  readonly wasm: TfjsModule;
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } };
  makeOutput(shape: number[], dtype: tf.DataType): tf.TensorInfo;
}

/** Memory for one kernel's call; freed when it returns. */
export interface Scratch {
  /** Room for `count` floats, zeros unless `clear` is false. */
  floats(count: number, clear?: boolean): number;
  integers(values: ArrayLike<number>): number;
}

/** The fields of a class of the SIMD module, written in its order. */
export const numbersOf = (fields: Readonly<Record<string, number>>): number[] => Object.values(fields);

/** What tfjs's module lets its memory grow to. */
const MEMORY_LIMIT = 4_294_901_760;

export class SharedWasm {
  /** Every argument is an address or a number. */
  readonly module: Readonly<Record<SimdFunction, (...numbers: number[]) => void>>;
  private readonly backend: TfjsWasm;
  private readonly memory: { readonly buffer: ArrayBuffer };
  /** The outputs of the kernel that runs. */
  private readonly made: tf.TensorInfo[] = [];

  /** @throws Error where the module is not built, or tfjs does not show its memory. */
  constructor(backend: tf.KernelBackend) {
    this.backend = backend as TfjsWasm;
    const memory = this.backend.wasm.asm?.memory;
    if (!memory) throw new Error('this tfjs-backend-wasm does not show its memory');
    this.memory = memory;
    this.module = instantiate<SharedWasm['module']>(simdModule('compute'), memory);
    refuseWhatDoesNotFit(this.backend.wasm);
  }

  address(tensor: tf.TensorInfo): number {
    return this.backend.dataIdMap.get(tensor.dataId).memoryOffset >>> 0;
  }

  output(shape: number[], dtype: 'float32' | 'int32' = 'float32'): tf.TensorInfo {
    const made = this.backend.makeOutput(shape, dtype);
    this.made.push(made);
    return made;
  }

  /** The same kernels, but one that fails frees what it had made. */
  freeing<K extends object>(kernels: K): K {
    const guard =
      (run: (...args: unknown[]) => unknown) =>
      (...args: unknown[]) => {
        this.made.length = 0;
        try {
          return run(...args);
        } catch (error) {
          for (const { dataId } of this.made) this.backend.disposeData(dataId);
          throw error;
        }
      };
    return Object.fromEntries(Object.entries(kernels).map(([name, run]) => [name, guard(run)])) as K;
  }

  /** A view that is valid until something is allocated. */
  floats(address: number, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, address, count);
  }

  withScratch<T>(use: (scratch: Scratch) => T): T {
    const taken: number[] = [];
    const allocate = (bytes: number): number => {
      const address = this.backend.wasm._malloc(bytes) >>> 0;
      taken.push(address);
      return address;
    };
    try {
      return use({
        floats: (count, clear = true) => {
          const address = allocate(count * 4);
          if (clear) this.floats(address, count).fill(0);
          return address;
        },
        integers: (values) => {
          const address = allocate(values.length * 4);
          new Int32Array(this.memory.buffer, address, values.length).set(values);
          return address;
        },
      });
    } finally {
      for (const address of taken) this.backend.wasm._free(address);
    }
  }
}

/**
 * Makes lack of memory an error, for tfjs's own kernels too. The allocator returns the address 0 where it has no memory,
 * and they would write there. It sees only the low 32 bits of a size, so larger sizes are refused before.
 */
function refuseWhatDoesNotFit(module: TfjsModule): void {
  // The first call of `_malloc` and `_free` replaces each by the compiled function.
  module._free(module._malloc(1));
  const allocate = module._malloc;
  module._malloc = (bytes) => {
    const address = bytes > MEMORY_LIMIT ? 0 : allocate(bytes);
    if (address === 0 && bytes > 0) throw new OutOfMemory('wasm', bytes, MEMORY_LIMIT);
    return address;
  };
}
