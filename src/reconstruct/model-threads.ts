import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Precision } from '../compute/contract/backend';
import type { BackendInfo } from '../compute/use-backend';
import { InvalidArgument } from '../errors';
import type { ModelConfig } from '../model/config';
import { type ForecastDevice, forecastReconstruction } from '../model/forecast/forecast';
import { compiledFile } from '../package';
import type { LongCall } from '../progress';
import type { WeightsName } from '../train/settings/config';
import { type AxisName, type Vec3, voxelCount } from '../vec3';
import { errorOf, errorOfThread, type Failure } from '../volume/base/failure';
import type { Intensity } from '../volume/intensity';

/** The model that patches go through, and how their values become the model's. */
export interface ModelSetup {
  /** The checkpoint's folder. */
  readonly checkpoint: string;
  /** Which of the checkpoint's weights; default: what its config says. */
  readonly use?: WeightsName;
  readonly backend: string;
  readonly intensity: Intensity;
  readonly patch: Vec3;
}

/**
 * What becomes of a patch: file values become their reconstruction or their codes, or codes become file values. Codes
 * travel as floats, which hold each of them exactly.
 */
type Work =
  /** `mirror`: axes along which each patch is mirrored too, the output being the mean. */
  | { readonly work: 'reconstruct'; readonly mirror: readonly AxisName[] }
  /** `latents`: send the latents back too; default false. */
  | { readonly work: 'encode'; readonly latents?: boolean }
  | { readonly work: 'decode' };

export type ThreadSetup = ModelSetup & Work;

/** A patch on its way to the model. */
export interface ModelPatch {
  readonly index: number;
  /** File values [pz * py * px], or codes [pz' * py' * px' * codebooks]. */
  readonly data: Float32Array;
}

/** A patch after its work, and how often it used each code. */
export interface PassedPatch extends ModelPatch {
  readonly counts: Float32Array;
  /** [pz' * py' * px' * codeDim], if they were asked for. */
  readonly latents?: Float32Array;
}

export type ThreadReply =
  /** The model is loaded, and this many threads like this one are worth their memory. */
  | { readonly kind: 'ready'; readonly workers: number }
  | ({ readonly kind: 'patch' } & PassedPatch)
  | { readonly kind: 'error'; readonly failed: Failure };

/**
 * Sends patches through a model on worker threads, which keeps the calling thread free for a notebook's live figures.
 * Patches come back in the order they were given, with at most two per worker under way. The first worker knows the
 * backend, so it says how many there should be.
 * @param total how many patches there are, for the progress
 * @throws InvalidArgument unless `workers` is a whole number from 1
 */
export async function* passPatches(
  setup: ThreadSetup,
  patches: Iterable<ModelPatch>,
  total: number,
  options: LongCall & { readonly workers?: number } = {},
): AsyncGenerator<PassedPatch, void, undefined> {
  const { workers: asked, signal, onProgress } = options;
  if (asked !== undefined && !(Number.isInteger(asked) && asked >= 1))
    throw new InvalidArgument('workers', 'a whole number from 1', asked);
  const workers = [new ModelThread(setup)];
  const source = patches[Symbol.iterator]();
  const underWay: Promise<PassedPatch>[] = [];
  let [sent, count, done] = [0, 1, 0];
  const send = (): void => {
    const next = source.next();
    if (next.done) return;
    const turn = sent++ % count;
    workers[turn] ??= new ModelThread(setup); // fewer patches than workers start fewer
    const passed = workers[turn].pass(next.value);
    passed.catch(() => {}); // awaited below; until then a failure must not count as unhandled
    underWay.push(passed);
  };
  try {
    count = asked ?? (await workers[0]!.ready);
    for (let i = 0; i < 2 * count; i++) send();
    while (underWay.length > 0) {
      signal?.throwIfAborted();
      yield await underWay.shift()!;
      send();
      onProgress?.({ done: ++done, total, what: 'patches' });
    }
  } finally {
    await Promise.all(workers.map((worker) => worker.close()));
  }
}

interface Waiting {
  resolve(patch: PassedPatch): void;
  reject(error: Error): void;
}

class ModelThread {
  /** How many workers there should be, once this one has its model. */
  readonly ready: Promise<number>;
  private settle!: { resolve(workers: number): void; reject(error: Error): void };
  private readonly thread: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private failure: Error | undefined;

  constructor(setup: ThreadSetup) {
    this.ready = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    this.ready.catch(() => {}); // whoever waits for a patch is told too
    this.thread = new Worker(compiledFile('src', 'reconstruct', 'model-thread.js'), { workerData: setup });
    this.thread.on('message', (reply: ThreadReply) => this.receive(reply));
    this.thread.on('error', (error) => this.fail(errorOfThread(error)));
    this.thread.on('exit', (code) => this.fail(new Error(`a thread of the model ended with code ${code}`)));
  }

  pass({ index, data }: ModelPatch): Promise<PassedPatch> {
    return new Promise((resolve, reject) => {
      if (this.failure) return reject(this.failure);
      this.waiting.set(index, { resolve, reject });
      this.thread.postMessage({ index, data }, [data.buffer as ArrayBuffer]);
    });
  }

  async close(): Promise<void> {
    await this.thread.terminate();
  }

  private receive(reply: ThreadReply): void {
    if (reply.kind === 'error') this.fail(errorOf(reply.failed));
    else if (reply.kind === 'ready') this.settle.resolve(reply.workers);
    else {
      this.waiting.get(reply.index)?.resolve(reply);
      this.waiting.delete(reply.index);
    }
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.settle.reject(error);
    for (const { reject } of this.waiting.values()) reject(this.failure);
    this.waiting.clear();
  }
}

/** The part of the free memory for these threads; the rest is for the volume that is blended meanwhile. */
const SHARE = 0.5;

/** Copies of a patch in JavaScript: waiting, in file values, in the model's, decoded, mirrored, on its way back. */
const COPIES = 8;

/** What a thread needs before it has a model. */
const THREAD = 64 * 2 ** 20;

type Computes = Pick<BackendInfo, 'name' | 'device'>;

/** The backend's device, as forecasts name it. */
export function forecastDeviceOf({ name, device }: Computes): ForecastDevice {
  if (name !== 'libtorch') return 'wasm';
  return device === 'CPU' ? 'libtorch' : 'gpu';
}

/** Bytes of a thread that sends patches through a model. */
export function workerBytes(model: ModelConfig, patch: Vec3, device: ForecastDevice, precision: Precision) {
  const copies = COPIES * 4 * voxelCount(patch);
  return THREAD + copies + forecastReconstruction(model, patch, { device, precision });
}

/**
 * How many such threads are worth their memory: one on a GPU; two if the backend has threads of its own, so that one
 * computes while the other moves patches; otherwise one per core. Fewer if memory is short, and at least one.
 */
export function mostWorkers(
  computes: Computes,
  bytes: number,
  { cores = availableParallelism(), free = process.availableMemory() } = {},
): number {
  const { name, device } = computes;
  const own = name === 'libtorch' || name === 'tensorflow';
  const wanted = own ? (device === 'CPU' ? Math.min(2, cores) : 1) : cores;
  return Math.max(1, Math.min(wanted, Math.floor((SHARE * free) / bytes)));
}
