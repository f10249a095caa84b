/** Our SIMD module on the memory of tfjs's wasm backend: addresses of tensors, scratch memory, the functions. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { OutOfMemory } from '../errors';

/** The functions of `simd/index.ts`; every argument is an address or a number. */
export interface SimdModule {
  convolve(...numbers: number[]): void;
  correlate(...numbers: number[]): void;
  channelSums(...numbers: number[]): void;
  padRows(...numbers: number[]): void;
  groupNorm(...numbers: number[]): void;
  groupNormGradient(...numbers: number[]): void;
  nearestCodes(...numbers: number[]): void;
}

/** The part of the WebAssembly interface that is used; Node has it, TypeScript declares it for browsers only. */
interface WasmMemory {
  readonly buffer: ArrayBuffer;
}
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: unknown };
};

/** What is used of tfjs's BackendWasm. */
interface TfjsWasm extends tf.KernelBackend {
  readonly wasm: {
    readonly asm?: { readonly memory?: WasmMemory };
    _malloc(bytes: number): number;
    _free(address: number): void;
  };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } };
  makeOutput(shape: number[], dtype: tf.DataType): tf.TensorInfo;
}

/** Memory for one kernel's call; freed when it returns. */
export interface Scratch {
  /** Room for `count` floats, zeros unless `clear` is false. */
  floats(count: number, clear?: boolean): number;
  integers(values: ArrayLike<number>): number;
}

/** What tfjs's module lets its memory grow to. */
const MEMORY_LIMIT = 4_294_901_760;

export class SharedWasm {
  readonly module: SimdModule;
  private readonly backend: TfjsWasm;
  private readonly memory: WasmMemory;

  /** @throws Error where the module is not built, or tfjs does not show its memory. */
  constructor(backend: tf.KernelBackend) {
    this.backend = backend as TfjsWasm;
    const memory = this.backend.wasm.asm?.memory;
    if (!memory) throw new Error('this tfjs-backend-wasm does not show its memory');
    this.memory = memory;
    const compiled = new WebAssembly.Module(readFileSync(modulePath()));
    const instance = new WebAssembly.Instance(compiled, { env: { memory } });
    this.module = instance.exports as SimdModule;
  }

  address(tensor: tf.TensorInfo): number {
    return this.backend.dataIdMap.get(tensor.dataId).memoryOffset >>> 0;
  }

  output(shape: number[], dtype: 'float32' | 'int32' = 'float32'): tf.TensorInfo {
    const bytes = tf.util.sizeFromShape(shape) * 4;
    requireAddressable(bytes);
    const made = this.backend.makeOutput(shape, dtype);
    if (bytes > 0 && this.address(made) === 0) {
      this.backend.disposeData(made.dataId);
      throw new OutOfMemory('wasm', bytes, MEMORY_LIMIT);
    }
    return made;
  }

  /** A view that is good until something is allocated. */
  floats(address: number, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, address, count);
  }

  withScratch<T>(use: (scratch: Scratch) => T): T {
    const taken: number[] = [];
    const allocate = (bytes: number): number => {
      requireAddressable(bytes);
      const address = this.backend.wasm._malloc(bytes) >>> 0;
      if (address === 0) throw new OutOfMemory('wasm', bytes, MEMORY_LIMIT);
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

/** A size of 2^32 bytes and more would reach the module's allocator as its remainder, and succeed. */
function requireAddressable(bytes: number): void {
  if (bytes > MEMORY_LIMIT) throw new OutOfMemory('wasm', bytes, MEMORY_LIMIT);
}

/** Where the build puts the module, seen from the sources and from `dist`. */
function modulePath(): string {
  const places = ['simd', '../../dist/src/compute/simd'].map((place) =>
    join(__dirname, place, 'kernels.wasm'),
  );
  const path = places.find((place) => existsSync(place));
  if (!path) throw new Error('kernels.wasm is not built; run `npm run build`');
  return path;
}
