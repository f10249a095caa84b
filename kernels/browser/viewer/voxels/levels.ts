/** What has come of the volumes so far: the stored previews, and what the kernel sends after them. */
import type { Level, VolumesBundle } from '../../../../src/volumes-bundle';
import type { KernelToPage } from '../messages';
import { type CopiesOf, type Copy, readStored, unpackInto } from './copies';

interface Coming {
  readonly copy: Copy;
  readonly bytes: Uint8Array;
  readonly chunks: number;
  readonly isPart: boolean;
  chunk: number;
  filled: number;
}

/** Whether the kernel still sends: `alone` where no kernel was asked, `asked` until it answers. */
export type Supply = 'alone' | 'asked' | 'coming' | 'complete' | 'lost' | 'gone';

export class Levels {
  #shown: CopiesOf[] = [];
  readonly #coming = new Map<number, Coming>();
  /** Copies that wait until every volume has one of the same shape, so that compared volumes are equally fine. */
  readonly #waiting = new Map<string, Copy[]>();
  /** The level of whole volumes that comes now. */
  #next: Level | undefined;
  #supply: Supply = 'alone';
  #note = '';
  #queue: Promise<unknown> = Promise.resolve();

  constructor(private readonly bundle: VolumesBundle) {}

  get shown(): readonly CopiesOf[] {
    return this.#shown;
  }

  get supply(): Supply {
    return this.#supply;
  }

  /** Why the kernel sends nothing. */
  get note(): string {
    return this.#note;
  }

  get isFull(): boolean {
    return this.#shown.every(({ whole }, at) => isSame(whole.shape, this.bundle.volumes[at]!.shape));
  }

  /** How much of the level that comes now is there, from 0 to 1, and whether it is full resolution. */
  get progress(): { readonly share: number; readonly isFull: boolean } | undefined {
    const next = this.#next;
    if (!next) return undefined;
    const ready = this.#waiting.get(keyOf(next, false))?.filter(Boolean).length ?? 0;
    const parts = [...this.#coming.values()]
      .filter(({ isPart }) => !isPart)
      .reduce((sum, { filled, bytes }) => sum + filled / bytes.length, 0);
    const share = Math.min(1, (ready + parts) / this.bundle.volumes.length);
    return { share, isFull: isSame(next.shape, this.bundle.volumes[0]!.shape) };
  }

  /** Reads the stored previews, once. */
  async read(): Promise<void> {
    if (this.#shown.length > 0) return;
    const copies = await Promise.all(this.bundle.volumes.map(({ preview }) => readStored(preview)));
    if (this.#shown.length === 0) this.#shown = copies.map((whole) => ({ whole }));
  }

  get bytes(): number {
    const copies = this.#shown.flatMap(({ whole, part }) => (part ? [whole, part] : [whole]));
    return copies.reduce((sum, { stored }) => sum + stored.byteLength, 0);
  }

  /** Leaves all that came, also the previews, which can be read again. */
  forget(): void {
    this.#shown = [];
    this.#supply = 'alone';
    this.#drop();
  }

  /** The kernel is asked for finer copies. It answers when it is free. */
  ask(): void {
    this.#supply = 'asked';
  }

  /** The kernel is away; it may come back. */
  lose(): void {
    if (this.#supply === 'gone') return;
    if (this.#supply !== 'complete' || !this.isFull) this.#supply = 'lost';
    this.#drop();
  }

  /** Takes in a message, after those before it. */
  hear(message: KernelToPage, buffers: readonly ArrayBuffer[]): Promise<void> {
    const heard = this.#queue.then(() => this.#take(message, buffers));
    this.#queue = heard.catch(() => {});
    return heard;
  }

  async #take(message: KernelToPage, buffers: readonly ArrayBuffer[]): Promise<void> {
    if (message.type === 'level') this.#begin(message);
    else if (message.type === 'chunk') await this.#add(message.volume, new Uint8Array(buffers[0]!));
    else if (message.type === 'complete') {
      this.#supply = 'complete';
      this.#drop();
    } else {
      this.#supply = 'gone';
      this.#note = message.message;
      this.#drop();
    }
  }

  /** Leaves what came only in part. */
  #drop(): void {
    this.#coming.clear();
    this.#waiting.clear();
    this.#next = undefined;
  }

  #begin({ volume, level, chunks, region }: Extract<KernelToPage, { type: 'level' }>): void {
    const [x, y, z] = level.shape;
    const stored = new Int16Array(x * y * z);
    const bytes = new Uint8Array(stored.buffer);
    const isPart = region === true;
    if (!isPart) this.#next = level;
    this.#supply = this.#supply === 'complete' && isPart ? 'complete' : 'coming';
    this.#coming.set(volume, { copy: { ...level, stored }, bytes, chunks, isPart, chunk: 0, filled: 0 });
  }

  async #add(volume: number, packed: Uint8Array): Promise<void> {
    const coming = this.#coming.get(volume);
    if (!coming) return; // of a level that was left
    coming.filled += await unpackInto(coming.bytes.subarray(coming.filled), packed);
    coming.chunk++;
    if (coming.chunk < coming.chunks) return;
    this.#coming.delete(volume);
    if (coming.filled !== coming.bytes.length) throw new Error('a level came with too few voxels');
    this.#finish(volume, coming);
  }

  #finish(volume: number, { copy, isPart }: Coming): void {
    const key = keyOf(copy, isPart);
    const waiting = this.#waiting.get(key) ?? [];
    waiting[volume] = copy;
    this.#waiting.set(key, waiting);
    const all = this.bundle.volumes.map((_, at) => waiting[at]);
    if (!all.every((one) => one !== undefined)) return;
    this.#waiting.delete(key);
    if (!isPart) this.#next = undefined;
    if (isPart) this.#shown = this.#shown.map(({ whole }, at) => ({ whole, part: all[at]! }));
    else if (this.#shown[volume] && voxels(copy) >= voxels(this.#shown[volume].whole))
      this.#shown = this.#shown.map(({ part }, at) => ({ whole: all[at]!, part }));
    if (this.isFull) this.#shown = this.#shown.map(({ whole }) => ({ whole }));
  }
}

function keyOf({ shape, affine }: Level, isPart: boolean): string {
  return [isPart ? 'part' : 'whole', ...shape, ...(isPart ? affine : [])].join(' ');
}

function voxels({ shape }: Copy): number {
  return shape[0] * shape[1] * shape[2];
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.every((count, axis) => count === b[axis]);
}
