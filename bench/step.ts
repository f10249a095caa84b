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
  /** Its hidden channels, where other than the preset's. */
  readonly hidden?: number;
  /** Voxels [x, y, z]; default 64 x 64 x 32. */
  readonly shape?: Vec3;
  /** Patches of a step; default 1. */
  readonly batch?: number;
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
  /** Where all sides compute; default cpu. */
  readonly device?: Device;
  /** What all sides compute anew; default none. */
  readonly checkpointing?: Checkpointing;
  /** What our activations are stored in; with `bf16` PyTorch's bf16 autocast is a peer too. Default float32. */
  readonly precision?: Precision;
  /** Whether torch.compile is a peer too; it takes its minutes to compile. Default false. */
  readonly compile?: boolean;
  /** Seconds to wait before a turn for other programs to be quiet; default 20. */
  readonly patience?: number;
}

/**
 * Of the preset's learning rate, for every side. At all of it Adam's first steps are so large that two ways of rounding
 * part at once, PyTorch's own two layouts too, and losses say nothing of whether two programs compute the same. At this
 * share 20 steps still take a tenth of the loss of `upstream` away, and five sixths of that of `guide`.
 */
const GENTLE = 0.01;

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
  // No restarts of codes: they draw random rows, and PyTorch's generator draws others.
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
        // Threads that wait for one another lose far more to a busy neighbour than its share of the processors.
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
      ...(precision === 'bf16' ? ['bf16'] : []),
      ...(checkpointing === 'none' ? [] : [`${checkpointing} computed anew`]),
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
