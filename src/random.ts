/**
 * Counter-based random numbers: the n-th number of a stream is a pure function of (seed, stream, n). So a resumed run or
 * another number of ranks draws the same numbers without saved state. The mixer is splitmix64's
 * finaliser on 32-bit halves (Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014),
 * as in murmur3's fmix32.
 */
export class Random {
  private counter = 0;
  private readonly key: number;

  /** `stream` names the purpose of the numbers, so that two uses of one seed get different numbers. */
  constructor(seed: number, ...stream: readonly (string | number)[]) {
    let key = mix(seed >>> 0, Math.floor(seed / 2 ** 32));
    for (const part of stream) {
      if (typeof part === 'number') key = mix(key, part);
      else for (let i = 0; i < part.length; i++) key = mix(key, part.charCodeAt(i) + 0x10000);
    }
    this.key = key;
  }

  /** The next number, uniform in [0, 1). */
  next(): number {
    const high = mix(this.key, this.counter);
    const low = mix(this.key ^ 0x9e3779b9, this.counter++);
    return (high * 2 ** 21 + (low >>> 11)) / 2 ** 53;
  }

  /** The next integer, uniform in [0, n). */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  /** The next number of a standard normal distribution (Box-Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  /** The numbers 0 to n - 1 in random order (Fisher-Yates). */
  permutation(n: number): number[] {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}

function mix(key: number, value: number): number {
  let h = Math.imul(key ^ 0x2545f491, 0x85ebca6b) ^ Math.imul((value | 0) + 0x9e3779b9, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
