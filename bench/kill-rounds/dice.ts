import { createHash } from 'node:crypto';

/** Pseudorandom numbers, the same for the same seed. */
export class Dice {
  private drawn = 0;

  constructor(private readonly seed: string) {}

  /** Uniform in [0, 1). */
  next(): number {
    const digest = createHash('sha256')
      .update(`${this.seed} ${this.drawn++}`)
      .digest();
    return digest.readUInt32LE(0) / 2 ** 32;
  }

  /** One of 0 to n - 1. */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }
}
