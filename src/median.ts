/** The middle value, or the mean of the two middle values of an even count. NaN for no values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return sorted.length > 0 ? (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2 : Number.NaN;
}
