import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Checkpointing,
  InvalidArgument,
  type LongCall,
  type Precision,
  presetNamed,
  UnavailableBackend,
  type Vec3,
} from '../src/index';
import { backendNames, stepWork } from '../src/internal';
import { findPython } from './python';
import { quiet } from './quiet';
import { type BenchReport, machine } from './report';
import { stepRows } from './step-rows';
import {
  autocast,
  channelsLast,
  compiled,
  compiledAutocast,
  contiguous,
  type Device,
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
  /** Hidden channels; default the preset's. */
  readonly hidden?: number;
  /** Voxels [x, y, z]; default 64 x 64 x 32. */
  readonly shape?: Vec3;
  /** Patches of a step; default 1. */
  readonly batch?: number;
  /** Rounds; each side has one turn in each; default 4. */
  readonly repeats?: number;
  /** Steps of a turn; default 5, which compares 20 losses. */
  readonly steps?: number;
  /** Seed of the weights, the codes and the patch; default 0. */
  readonly seed?: number;
  /** Our backends; default libtorch if it is built, else wasm. */
  readonly backends?: readonly string[];
  /** Threads of each side; default 2. */
  readonly threads?: number;
  /** Where all sides compute; default cpu. */
  readonly device?: Device;
  /** What all sides recompute in the backward pass; default none. */
  readonly checkpointing?: Checkpointing;
  /** Our precision; `bf16` adds PyTorch's bf16 autocast as a peer, `tf32` is PyTorch's too. Default float32. */
  readonly precision?: Precision;
  /** Whether torch.compile is a peer too; it takes minutes to compile. Default false. */
  readonly compile?: boolean;
  /** Seconds to wait before each turn until other programs are idle; default 20. */
  readonly patience?: number;
}

/**
 * Fraction of the preset's learning rate that all sides use. At the full rate Adam's first steps are so large that any
 * two roundings part at once, even PyTorch's own two layouts. Then losses cannot show whether two programs compute the
 * same. At this fraction 20 steps still reduce the loss of `upstream` by a tenth, and that of `guide` by five sixths.
 */
const GENTLE = 0.01;

/**
 * Compares a training step of the generator with PyTorch's, from the same weights on the same patch. Each side is a
 * process that stays alive, and the sides take turns, so other load affects all of them. If only rounding decides between
 * two codes of a latent, PyTorch takes the code of our first backend. Otherwise the loss would jump there, and chance
 * would decide the distance of losses. The report counts these latents.
 */
export async function benchStep(options: StepBenchOptions = {}): Promise<BenchReport> {
  const {
    preset = 'upstream',
    shape: size = [64, 64, 32],
    batch = 1,
    repeats = 4,
    steps = 5,
    seed = 0,
    threads = 2,
    patience = 20,
    device = 'cpu',
    precision = 'float32',
    checkpointing = 'none',
  } = options;
  const { backends = [backendNames[0] === 'libtorch' ? 'libtorch' : 'wasm'], signal, onProgress } = options;
  if (device !== 'cpu' && backends.some((name) => name !== 'libtorch'))
    throw new InvalidArgument('backends', 'libtorch alone on a GPU', backends);
  const base = presetNamed(preset);
  // No restarts of codes, because they draw random rows, and PyTorch's generator draws others.
  const config = { ...base.model, hidden: options.hidden ?? base.model.hidden, restartBelow: 0 };
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-bench-'));
  const sides: Side[] = [];
  try {
    const state = join(folder, 'state');
    await writeState(state, config, size, seed, batch);
    const learningRate = GENTLE * base.learningRate;
    const { clip } = base;
    const setup: StepSetup = { state, config, threads, device, precision, checkpointing, learningRate, clip };
    for (const backend of backends) sides.push(ourSide(backend, setup));
    const python = await findPython(['torch', 'numpy']);
    const peers = [channelsLast, contiguous];
    if (precision === 'bf16') peers.push(autocast);
    if (options.compile) peers.push(compiled);
    if (options.compile && precision === 'bf16') peers.push(compiledAutocast);
    for (const name of python ? peers : []) sides.push(peerSide(python!, name, setup));
    const ours = sides.slice(0, backends.length);
    const refuseUnable = () => {
      for (const { name, unable } of ours)
        if (unable) throw new UnavailableBackend(name, unable, 'Nothing was measured');
    };
    for (const side of sides) await side.ready;
    for (let round = 0; round < repeats; round++) {
      for (const [i, side] of sides.entries()) {
        signal?.throwIfAborted();
        refuseUnable();
        if (side.unable) continue;
        // Threads that wait for each other lose more time to a busy neighbour than its share of the processors.
        await quiet(patience, signal);
        await side.take(eager.includes(side.name) ? ours[0]!.turns.at(-1)!.codes : steps);
        onProgress?.({ done: round * sides.length + i + 1, total: repeats * sides.length, what: 'turns' });
      }
    }
    refuseUnable();
    const name = [
      preset,
      ...(options.hidden ? [`${options.hidden} channels`] : []),
      size.join(' x '),
      ...(batch > 1 ? [`batch ${batch}`] : []),
      ...(precision === 'float32' ? [] : [precision]),
      ...(checkpointing === 'none' ? [] : [`${checkpointing} recomputed`]),
      ...(device === 'cpu' ? [] : [device]),
    ].join(', ');
    const work = stepWork(config, size, batch);
    const rows = ours.flatMap((side) => stepRows(name, work, side, sides.slice(backends.length)));
    return { bench: 'step', machine: machine(), rows };
  } finally {
    for (const side of sides) side.process.kill();
    await rm(folder, { recursive: true, force: true });
  }
}
