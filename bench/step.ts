import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backendNames, type LongCall, type Precision, presetNamed, type Vec3 } from '../src/index';
import { findPython } from './python';
import { quiet } from './quiet';
import { type BenchReport, type BenchRow, machine, median, row } from './report';
import {
  autocast,
  channelsLast,
  compiled,
  contiguous,
  eager,
  ourSide,
  peerSide,
  type Side,
  type StepSetup,
} from './step-sides';
import { writeState } from './step-state';

export interface StepBenchOptions extends LongCall {
  /** A preset's model; default upstream. */
  readonly preset?: string;
  /** Its hidden channels, where other than the preset's. */
  readonly hidden?: number;
  /** Voxels [x, y, z]; default 64 x 64 x 32. */
  readonly shape?: Vec3;
  /** Rounds, in which every side takes its turn; default 4. */
  readonly repeats?: number;
  /** Steps of a turn; default 5, so that 20 losses are compared. */
  readonly steps?: number;
  /** Of the weights, the codes and the patch; default 0. */
  readonly seed?: number;
  /** Our backends; default libtorch where it is built, else wasm. */
  readonly backends?: readonly string[];
  /** Threads of each side; default 2. */
  readonly threads?: number;
  /** What our activations are stored in; with `bf16` PyTorch's bf16 autocast is a peer too. Default float32. */
  readonly precision?: Precision;
  /** Whether torch.compile is a peer too; it takes its minutes to compile. Default false. */
  readonly compile?: boolean;
  /** Seconds to wait before a turn for other programs to be quiet; default 20. */
  readonly patience?: number;
}

/** Steps of a side that are not timed: memory is faulted in and code chosen in them. */
const WARM_UP = 2;

/**
 * Of the preset's learning rate, for every side. At all of it Adam's first steps are so large that two ways of rounding
 * part at once, PyTorch's own two layouts too, and losses say nothing of whether two programs compute the same. At this
 * share 20 steps still take a third of the loss away.
 */
const GENTLE = 0.03;

/**
 * A training step of the generator beside the same model in PyTorch eager, from the same weights on the same patch.
 * Each side is a process that stays; they take turns, so that what else the machine does meets all of them. Where a
 * latent is as near to two codes but for rounding, PyTorch takes the one that our first backend took: the loss jumps
 * there, so that otherwise chance alone would say how far losses go apart. The report counts these latents.
 */
export async function benchStep(options: StepBenchOptions = {}): Promise<BenchReport> {
  const {
    preset = 'upstream',
    shape: size = [64, 64, 32],
    repeats = 4,
    steps = 5,
    seed = 0,
    threads = 2,
    patience = 20,
    precision = 'float32',
  } = options;
  const { backends = [backendNames[0] === 'libtorch' ? 'libtorch' : 'wasm'], signal, onProgress } = options;
  const base = presetNamed(preset);
  // No restarts of codes: they draw random rows, and PyTorch's generator draws others.
  const config = { ...base.model, hidden: options.hidden ?? base.model.hidden, restartBelow: 0 };
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-bench-'));
  const sides: Side[] = [];
  try {
    const state = join(folder, 'state');
    await writeState(state, config, size, seed);
    const learningRate = GENTLE * base.learningRate;
    const setup: StepSetup = { state, config, threads, precision, learningRate, clip: base.clip };
    for (const backend of backends) sides.push(ourSide(backend, setup));
    const python = await findPython(['torch', 'numpy']);
    const peers = [channelsLast, contiguous];
    if (precision === 'bf16') peers.push(autocast);
    if (options.compile) peers.push(compiled);
    for (const name of python ? peers : []) sides.push(peerSide(python!, name, setup));
    const unable = new Map<Side, string>();
    for (const side of sides) {
      const answer = await side.ready;
      if (answer.unable) unable.set(side, answer.unable);
    }
    const able = sides.filter((side) => !unable.has(side));
    for (let round = 0; round < repeats; round++) {
      for (const [i, side] of able.entries()) {
        signal?.throwIfAborted();
        // Threads that wait for one another lose far more to a busy neighbour than its share of the processors.
        await quiet(patience, signal);
        const suggested = i > 0 && eager.includes(side.name) ? able[0]!.turns.at(-1)!.codes : steps;
        side.turns.push(await side.take(suggested));
        onProgress?.({ done: round * able.length + i + 1, total: repeats * able.length, what: 'turns' });
      }
    }
    const name = `${preset}${options.hidden ? `, ${options.hidden} channels` : ''}, ${size.join(' x ')}${precision === 'bf16' ? ', bf16' : ''}`;
    const ours = able.slice(0, backends.length);
    const rows = ours.flatMap((side) => [
      ...rowsOf(name, side, able.slice(backends.length)),
      ...[...unable].map(([peer, why]) =>
        row(
          { case: `${name}, ${side.name}`, metric: 'step', unit: 'ms', peerName: `${peer.name} (${why})` },
          timesOf(side),
          [],
        ),
      ),
    ]);
    return { bench: 'step', machine: machine(), rows };
  } finally {
    for (const side of sides) side.process.kill();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Times and memory against each peer, the fastest first; then how far the losses are apart. */
function rowsOf(name: string, ours: Side, peers: readonly Side[]): BenchRow[] {
  const label = `${name}, ${ours.name}`;
  const compare = (metric: string, unit: string, peer: Side | undefined, of: (side: Side) => number[]) =>
    row({ case: label, metric, unit, peerName: peer?.name ?? 'PyTorch' }, of(ours), peer ? of(peer) : []);
  const peak = (side: Side) => [side.turns.at(-1)!.peak];
  const sorted = [...peers].sort((a, b) => median(timesOf(a)) - median(timesOf(b)));
  const rows = (sorted.length ? sorted : [undefined]).flatMap((peer) => [
    compare('step', 'ms', peer, timesOf),
    compare('peak memory above the weights', 'MiB', peer, peak),
  ]);
  // PyTorch's default layout is the reference; how far its other one goes from it is what rounding alone can do.
  const [reference, yardstick] = [contiguous, channelsLast].map((name) =>
    peers.find((peer) => peer.name === name),
  );
  if (!reference || !yardstick) return rows;
  const [own, other] = [ours, yardstick].map((side) => distance(side, reference));
  const apart = (metric: string, unit: string, of: (d: Distance) => number) =>
    row({ case: label, metric, unit, peerName: yardstick.name }, [of(own!)], [of(other!)]);
  return [
    ...rows,
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

/** How far one side's training goes from another's. */
interface Distance {
  readonly steps: number;
  readonly largest: number;
  /** Steps from the first on in which all latents have the same codes on both sides. */
  readonly agreed: number;
  /** Of the losses of those steps. */
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
