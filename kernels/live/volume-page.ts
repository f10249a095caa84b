/** One page that shows volumes. It gets levels from coarse to fine, then regions it asks for, no faster than it takes them. */

import { LevelMaker, levelsFor, type MadeLevel, regionWithin } from '../../src/internal';
import { asVec3, type Vec3 } from '../../src/vec3';
import type { HeldVolume } from '../../src/volumes-bundle';
import { type KernelToPage, MOST_UNANSWERED } from '../browser/viewer/messages';
import type { Comm } from '../protocol/comms';
import type { Json } from '../protocol/wire';

/** A page that has said nothing for so long is gone: a reload closes no comm. Hidden pages speak once a minute. */
const SILENCE_MS = 150_000;

/** The threads are shared by all pages. */
const maker = new LevelMaker();

interface Limits {
  readonly most: number;
  readonly longest: number;
}

interface Wanted {
  readonly at: Vec3;
  readonly size: Vec3;
}

export class VolumePage {
  readonly #left = new AbortController();
  /** The levels that are still to be sent, one for each volume; undefined before the first is chosen. */
  #levels: Vec3[] | undefined;
  #isComplete = false;
  #wanted: Wanted | undefined;
  #region = new AbortController();
  #unanswered = 0;
  #isWorking = false;
  #goOn: () => void = () => {};
  readonly #silence: NodeJS.Timeout;

  /**
   * @param volumes what the view shows; undefined once the kernel no longer holds it
   * @param gone what to say then
   */
  constructor(
    private readonly comm: Comm,
    private readonly volumes: () => readonly HeldVolume[] | undefined,
    private readonly limits: Limits,
    private readonly gone: string,
  ) {
    this.#silence = this.#startSilence();
    comm.onMessage(({ data }) => this.#hear(data));
    comm.onClose(() => this.#leave());
  }

  /** Sends all that is wanted, until there is no more. */
  async start(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    try {
      const volumes = this.volumes();
      if (!volumes) this.#say({ type: 'gone', message: this.gone });
      else while ((await this.#sendNext(volumes)) || this.#wanted);
    } catch (error) {
      if (!this.#left.signal.aborted) this.#say({ type: 'error', message: (error as Error).message });
    } finally {
      this.#isWorking = false;
    }
  }

  /** Sends one region or level; false if nothing is left. Only here are the volumes kept in memory for the page. */
  async #sendNext(volumes: readonly HeldVolume[]): Promise<boolean> {
    const wanted = this.#wanted;
    this.#wanted = undefined;
    if (wanted) {
      await this.#sendRegion(volumes, wanted);
      return true;
    }
    const { most, longest } = this.limits;
    this.#levels ??= levelsFor(volumes[0]!, most, longest);
    const factors = this.#levels.shift();
    if (factors) {
      for (const [number, volume] of volumes.entries())
        await this.#send(number, maker.level(volume, factors), this.#left.signal);
    } else if (!this.#isComplete) {
      this.#isComplete = true;
      this.#say({ type: 'complete' });
    }
    return factors !== undefined;
  }

  async #sendRegion(volumes: readonly HeldVolume[], { at, size }: Wanted): Promise<void> {
    const { most, longest } = this.limits;
    this.#region = new AbortController();
    const signal = AbortSignal.any([this.#left.signal, this.#region.signal]);
    try {
      for (const [number, volume] of volumes.entries()) {
        const region = regionWithin(volume.shape, at, size, most, longest);
        await this.#send(number, maker.level(volume, [1, 1, 1], region), signal, true);
      }
    } catch (error) {
      if (!this.#region.signal.aborted) throw error; // a newer one is wanted
    }
  }

  async #send(volume: number, made: MadeLevel, signal: AbortSignal, isRegion = false): Promise<void> {
    const { level, chunks } = made;
    this.#say({ type: 'level', volume, level, chunks, ...(isRegion && { region: true }) });
    let index = 0;
    for await (const bytes of made.make(signal)) {
      await this.#room(signal);
      this.#unanswered++;
      this.#say({ type: 'chunk', volume, index: index++ }, [bytes]);
    }
  }

  /** Waits until the page has answered enough chunks. */
  async #room(signal: AbortSignal): Promise<void> {
    while (this.#unanswered >= MOST_UNANSWERED && !signal.aborted)
      await new Promise<void>((resolve) => {
        this.#goOn = resolve;
      });
    signal.throwIfAborted();
  }

  #hear(data: Json): void {
    this.#silence.refresh();
    if (data.type === 'got') {
      this.#unanswered = Math.max(0, this.#unanswered - 1);
      this.#goOn();
    } else if (data.type === 'region') this.#want(data);
  }

  /** The newest region takes the place of the one that is being sent. */
  #want(data: Json): void {
    const [at, size] = [threeNumbers(data.at), threeNumbers(data.size)];
    if (!at || !size) return;
    this.#wanted = { at, size };
    this.#region.abort();
    this.#goOn();
    void this.start();
  }

  #say(message: KernelToPage, buffers: readonly Uint8Array[] = []): void {
    this.comm.send({ ...message }, buffers);
  }

  #startSilence(): NodeJS.Timeout {
    const end = (): void => {
      this.#leave();
      this.comm.close();
    };
    return setTimeout(end, SILENCE_MS).unref();
  }

  #leave(): void {
    clearTimeout(this.#silence);
    this.#left.abort();
    this.#goOn();
  }
}

function threeNumbers(value: unknown): Vec3 | undefined {
  const numbers = Array.isArray(value) ? asVec3(value) : undefined;
  return numbers?.every(Number.isFinite) ? numbers : undefined;
}
