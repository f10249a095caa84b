import { existsSync, readFileSync } from 'node:fs';
import { compiledFile } from '../package';

/** A WebAssembly memory that threads share. TypeScript declares it for browsers only, but Node has it too. */
export interface SimdMemory {
  readonly buffer: SharedArrayBuffer;
  grow(pages: number): number;
}

declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: unknown };
  Memory: new (size: { initial: number; maximum: number; shared: true }) => SimdMemory;
};

/** The compiled loops of each part that has a folder `simd` with loops in AssemblyScript. */
const FILES = {
  volume: 'volume/simd/blosc.wasm',
  patch: 'patch/simd/loops.wasm',
  fidelity: 'fidelity/simd/loops.wasm',
  compute: 'compute/wasm/simd/kernels.wasm',
} as const;
export type SimdPart = keyof typeof FILES;

/**
 * A function of a part's loops that threads call by its name. Who calls one directly declares its arguments: a missing
 * one is 0, and swapped addresses write anywhere.
 */
export type SimdFunction = (...args: number[]) => void;

/** Bytes of a page, in which WebAssembly's memory grows. */
export const PAGE = 65536;
/** WebAssembly's 32-bit addresses end at 4 GiB. */
const MOST_PAGES = 65536;

const modules = new Map<SimdPart, object>();

/** A part's compiled loops, which threads can share. */
export function simdModule(part: SimdPart): object {
  let module = modules.get(part);
  if (!module) {
    const file = compiledFile('src', FILES[part]);
    if (!existsSync(file)) throw new Error(`${file} is not built; run \`npm run build\``);
    module = new WebAssembly.Module(readFileSync(file));
    modules.set(part, module);
  }
  return module;
}

/** The functions of a compiled module, on the given memory or else on its own. */
export function instantiate<Loops>(module: object, memory?: { readonly buffer: ArrayBufferLike }): Loops {
  return new WebAssembly.Instance(module, memory ? { env: { memory } } : {}).exports as Loops;
}

/** A memory of at least `bytes`; undefined if it cannot be addressed or the machine has no room. */
export function newMemory(bytes: number): SimdMemory | undefined {
  const initial = Math.ceil(bytes / PAGE);
  if (initial > MOST_PAGES) return undefined;
  try {
    return new WebAssembly.Memory({ initial, maximum: MOST_PAGES, shared: true });
  } catch (error) {
    if (error instanceof RangeError) return undefined; // no room for the memory
    throw error;
  }
}
