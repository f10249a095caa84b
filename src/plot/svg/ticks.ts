/** A mark on an axis: where, in the data's own values, and what it says. */
export interface Tick {
  readonly value: number | string;
  readonly label: string;
}

/** About `count` round marks within the range. */
export function linearTicks([from, to]: readonly [number, number], count: number): Tick[] {
  const [low, high] = from < to ? [from, to] : [to, from];
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0) || !Number.isFinite(rough)) return [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999)!;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => mark((first + i) * step));
}

/** Powers of ten within the range of exponents, and 2 and 5 between them if the range is short. */
export function logTicks([from, to]: readonly [number, number]): Tick[] {
  const [low, high] = from < to ? [from, to] : [to, from];
  const factors = high - low < 3 ? [1, 2, 5] : [1];
  const ticks: Tick[] = [];
  for (let exponent = Math.floor(low); exponent <= Math.ceil(high); exponent++) {
    for (const factor of factors) {
      const at = exponent + Math.log10(factor);
      if (at >= low && at <= high) ticks.push(mark(factor * 10 ** exponent));
    }
  }
  return ticks;
}

function mark(rough: number): Tick {
  const value = Number(rough.toPrecision(10));
  const size = Math.abs(value);
  if (value !== 0 && (size >= 1e6 || size < 1e-4)) return { value, label: value.toExponential() };
  return { value, label: size >= 1e4 ? `${Number((value / 1000).toPrecision(6))}k` : String(value) };
}
