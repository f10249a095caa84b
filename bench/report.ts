import { cpus, totalmem } from 'node:os';
import { median } from '../src/median';

/** One comparison: medians of interleaved runs. A `ratio` below 1 means that ours is better. */
export interface BenchRow {
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  readonly ours: number;
  /** Null if the peer is not installed. */
  readonly peer: number | null;
  readonly peerName: string;
  readonly ratio: number | null;
}

export interface BenchReport {
  readonly bench: string;
  readonly machine: string;
  readonly rows: readonly BenchRow[];
}

/** The machine in words, so that nobody compares figures of different machines. */
export function machine(): string {
  const processors = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${processors[0]?.model.trim() || 'unknown CPU'}, ${processors.length} threads, ${memory} GiB, Node ${process.version}`;
}

/** One row of the report, from the runs of both sides. */
export function row(
  name: Pick<BenchRow, 'case' | 'metric' | 'unit' | 'peerName'>,
  ours: readonly number[],
  peer: readonly number[],
): BenchRow {
  const own = median(ours);
  const other = peer.length > 0 ? median(peer) : null;
  const { case: what, metric, unit, peerName } = name;
  return { case: what, metric, unit, ours: own, peer: other, peerName, ratio: other && own / other };
}
