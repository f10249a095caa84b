/** The report of `bench step`. */
import { median } from '../src/median';
import { type BenchRow, row } from './report';
import { channelsLast, contiguous, type Side } from './step-sides';

/** First steps of a side, which are not timed: they fault in memory and choose code. */
const WARM_UP = 2;

/**
 * Times, rates and memory against each peer, the fastest first; the peers that could not run; the distance of losses.
 *
 * @param work floating-point operations of a step
 */
export function stepRows(name: string, work: number, ours: Side, others: readonly Side[]): BenchRow[] {
  const label = `${name}, ${ours.name}`;
  const peers = others.filter(({ unable }) => !unable);
  const unable = others.filter((peer) => peer.unable);
  const compare = (metric: string, unit: string, peer: Side | undefined, of: (side: Side) => number[]) =>
    row({ case: label, metric, unit, peerName: peer?.name ?? 'PyTorch' }, of(ours), peer ? of(peer) : []);
  const peak = (side: Side) => [side.turns.at(-1)!.peak];
  const sorted = [...peers].sort((a, b) => median(timesOf(a)) - median(timesOf(b)));
  const measured = (sorted.length ? sorted : [undefined]).flatMap((peer) => [
    compare('step', 'ms', peer, timesOf),
    compare('rate', 'TFLOP/s', peer, (side) => timesOf(side).map((ms) => work / ms / 1e9)),
    compare('peak memory above the weights', 'MiB', peer, peak),
  ]);
  const missing = unable.map((peer) => {
    const peerName = `${peer.name} (${peer.unable})`;
    return row({ case: label, metric: 'step', unit: 'ms', peerName }, timesOf(ours), []);
  });
  // PyTorch's default layout is the reference. The distance of its other layout shows the effect of rounding alone.
  const [reference, yardstick] = [contiguous, channelsLast].map((name) =>
    peers.find((peer) => peer.name === name),
  );
  if (!reference || !yardstick) return [...measured, ...missing];
  const [own, other] = [ours, yardstick].map((side) => distance(side, reference));
  const apart = (metric: string, unit: string, of: (d: Distance) => number) =>
    row({ case: label, metric, unit, peerName: yardstick.name }, [of(own!)], [of(other!)]);
  return [
    ...measured,
    ...missing,
    apart(`largest distance of ${own!.steps} losses from PyTorch's contiguous`, '', (d) => d.largest),
    apart('the same, while each latent has the same code', '', (d) => d.largestBefore),
    apart(`steps of ${own!.steps} until a latent has another code`, 'steps', (d) => d.agreed),
    row(
      {
        case: label,
        metric: 'latents as near to two codes, decided alike',
        unit: '',
        peerName: yardstick.name,
      },
      [tiesOf(reference)],
      [tiesOf(yardstick)],
    ),
  ];
}

function tiesOf(side: Side): number {
  return side.turns.flatMap(({ ties = [] }) => ties).reduce((sum, n) => sum + n, 0);
}

function timesOf(side: Side): number[] {
  const all = side.turns.flatMap(({ ms }) => ms);
  return all.slice(Math.min(WARM_UP, all.length >> 1));
}

/** The distance between two sides' training. */
interface Distance {
  readonly steps: number;
  readonly largest: number;
  /** Number of first steps in which all latents have the same codes on both sides. */
  readonly agreed: number;
  /** Largest distance between the losses of those steps. */
  readonly largestBefore: number;
}

function distance(side: Side, reference: Side): Distance {
  const [losses, expected] = [side, reference].map(({ turns }) => turns.flatMap((turn) => turn.losses));
  const [codes, expectedCodes] = [side, reference].map(({ turns }) => turns.flatMap((turn) => turn.codes));
  const apart = losses!.map((loss, i) => Math.abs(loss - expected![i]!));
  const parted = codes!.findIndex((step, i) => step.some((code, j) => code !== expectedCodes![i]![j]));
  const agreed = parted < 0 ? apart.length : parted;
  const largestBefore = Math.max(0, ...apart.slice(0, agreed));
  return { steps: apart.length, largest: Math.max(...apart), agreed, largestBefore };
}
