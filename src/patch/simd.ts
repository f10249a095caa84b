import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A WebAssembly memory that threads share; Node has them, TypeScript declares them for browsers only. */
export interface SimdMemory {
  readonly buffer: SharedArrayBuffer;
  grow(pages: number): number;
}

declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: unknown };
  Memory: new (size: { initial: number; maximum: number; shared: true }) => SimdMemory;
};

/** A part's simd/index.ts, compiled, on a memory of its own. */
export interface SimdLoops<Loops> {
  readonly module: object;
  readonly memory: SimdMemory;
  readonly loops: Loops;
}

const PAGE = 65536;
/** WebAssembly's 32-bit addresses end at 4 GiB. */
const MOST_PAGES = 65536;

const compiled = new Map<string, object>();

/**
 * The functions of a part's simd/index.ts on a new memory of at least `bytes`; undefined where that is more than
 * WebAssembly can address or the machine can give.
 */
export function simdLoops<Loops>(part: 'patch' | 'evaluate', bytes: number): SimdLoops<Loops> | undefined {
  const initial = Math.ceil(bytes / PAGE);
  if (initial > MOST_PAGES) return undefined;
  let module = compiled.get(part);
  if (!module) {
    module = new WebAssembly.Module(readFileSync(builtFile(part, 'simd/loops.wasm')));
    compiled.set(part, module);
  }
  try {
    const memory = new WebAssembly.Memory({ initial, maximum: MOST_PAGES, shared: true });
    return { module, memory, loops: instantiate<Loops>(module, memory) };
  } catch (error) {
    if (error instanceof RangeError) return undefined; // no room for the memory
    throw error;
  }
}

/** The functions of a compiled module on a memory that is there already, in another thread. */
export function instantiate<Loops>(module: object, memory: SimdMemory): Loops {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as Loops;
}

/** Grows a memory to at least `bytes`; false where there is no more. Views made before do not reach what is new. */
export function growTo(memory: SimdMemory, bytes: number): boolean {
  const missing = Math.ceil((bytes - memory.buffer.byteLength) / PAGE);
  if (missing <= 0) return true;
  try {
    memory.grow(missing);
    return true;
  } catch {
    return false;
  }
}

/** A file that the build makes beside the compiled sources; sources that run as they are, in tests, find it in dist. */
export function builtFile(part: string, name: string): string {
  const places = [join(__dirname, '..'), join(__dirname, '../../dist/src')];
  const files = places.map((place) => join(place, part, name));
  const file = files.find((path) => existsSync(path));
  if (file === undefined) throw new Error(`${files.at(-1)} is not built; run \`npm run build\``);
  return file;
}
