import { Worker } from 'node:worker_threads';
import { InvalidArgument } from '../errors';
import { compiledFile } from '../package';
import type { WeightsName } from '../train/settings/config';
import type { Intensity } from '../volume/intensity';
import type { Vec3 } from '../volume/vec3';
import type { MirrorAxis } from './mirror';

/** What a worker needs to know before its first patch. */
export interface DecoderSetup {
  /**
   * What becomes of a patch: file values to their reconstruction; file values to codes; or codes to file values. Codes
   * travel as floats, which hold each of them exactly.
   */
  readonly work: 'reconstruct' | 'encode' | 'decode';
  /** `encode`: send the latents back too; default false. */
  readonly latents?: boolean;
  readonly checkpoint: string;
  /** Which of the checkpoint's weights; undefined for what its config says. */
  readonly use?: WeightsName | undefined;
  readonly backend: string;
  readonly intensity: Intensity;
  readonly patch: Vec3;
  /** Axes along which each patch is mirrored too, its output being the mean. */
  readonly mirror: readonly MirrorAxis[];
}

/** A patch on its way through the model. */
export interface DecoderPatch {
  readonly index: number;
  /** File values [pz * py * px], or codes [pz' * py' * px' * codebooks]. */
  readonly data: Float32Array;
}

export type DecoderReply =
  /** The model is loaded, and so many threads like this one are worth their memory. */
  | { readonly kind: 'ready'; readonly workers: number }
  | {
      readonly kind: 'patch';
      readonly index: number;
      readonly data: Float32Array;
      readonly counts: Float32Array;
      readonly latents?: Float32Array;
    }
  | { readonly kind: 'error'; readonly message: string };

/** A patch after its work, and how often it used each code. */
export interface DecodedPatch extends DecoderPatch {
  readonly counts: Float32Array;
  /** [pz' * py' * px' * codeDim], where they were asked for. */
  readonly latents?: Float32Array;
}

/**
 * Sends patches through a model on worker threads, so that the thread that asks stays free for a notebook's live
 * figures. Patches come back in the order they were given, at most two a worker under way at once. The first worker
 * knows the backend, so it says how many there should be.
 * @throws InvalidArgument for workers that are no whole number from 1
 */
export async function* decodePatches(
  setup: DecoderSetup,
  patches: Iterable<DecoderPatch>,
  options: { readonly workers?: number; readonly signal?: AbortSignal } = {},
): AsyncGenerator<DecodedPatch, void, undefined> {
  const { workers: asked } = options;
  if (asked !== undefined && !(Number.isInteger(asked) && asked >= 1))
    throw new InvalidArgument('workers', 'a whole number from 1', asked);
  const workers = [new DecoderWorker(setup)];
  const source = patches[Symbol.iterator]();
  const underWay: Promise<DecodedPatch>[] = [];
  let sent = 0;
  let count = 1;
  const send = (): void => {
    const next = source.next();
    if (next.done) return;
    const turn = sent++ % count;
    workers[turn] ??= new DecoderWorker(setup); // fewer patches than workers start fewer
    const decoded = workers[turn].decode(next.value);
    decoded.catch(() => {}); // awaited below; until then a failure must not count as unhandled
    underWay.push(decoded);
  };
  try {
    count = asked ?? (await workers[0]!.ready);
    for (let i = 0; i < 2 * count; i++) send();
    while (underWay.length > 0) {
      options.signal?.throwIfAborted();
      yield await underWay.shift()!;
      send();
    }
  } finally {
    await Promise.all(workers.map((worker) => worker.close()));
  }
}

class DecoderWorker {
  /** How many workers there should be, once this one has its model. */
  readonly ready: Promise<number>;
  private settle!: { resolve(workers: number): void; reject(error: Error): void };
  private readonly thread: Worker;
  private readonly waiting = new Map<
    number,
    { resolve(patch: DecodedPatch): void; reject(error: Error): void }
  >();
  private failure: Error | undefined;

  constructor(setup: DecoderSetup) {
    this.ready = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    this.ready.catch(() => {}); // whoever waits for a patch is told too
    this.thread = new Worker(compiledFile('src', 'evaluate', 'decoder-thread.js'), { workerData: setup });
    this.thread.on('message', (reply: DecoderReply) => this.receive(reply));
    this.thread.on('error', (error) => this.fail(error));
    this.thread.on('exit', (code) => this.fail(new Error(`a decoder thread ended with code ${code}`)));
  }

  decode({ index, data }: DecoderPatch): Promise<DecodedPatch> {
    return new Promise((resolve, reject) => {
      if (this.failure) return reject(this.failure);
      this.waiting.set(index, { resolve, reject });
      this.thread.postMessage({ index, data }, [data.buffer as ArrayBuffer]);
    });
  }

  async close(): Promise<void> {
    await this.thread.terminate();
  }

  private receive(reply: DecoderReply): void {
    if (reply.kind === 'error') {
      this.fail(new Error(reply.message));
      return;
    }
    if (reply.kind === 'ready') {
      this.settle.resolve(reply.workers);
      return;
    }
    const { index, data, counts, latents } = reply;
    this.waiting.get(index)?.resolve({ index, data, counts, ...(latents && { latents }) });
    this.waiting.delete(index);
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.settle.reject(error);
    for (const { reject } of this.waiting.values()) reject(this.failure);
    this.waiting.clear();
  }
}
