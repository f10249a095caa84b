import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  backendNames,
  compiledFile,
  type LongCall,
  type ModelConfig,
  type Precision,
  packageRoot,
  phantom,
  presetNamed,
  resolveIntensity,
  toModel,
  useBackend,
  type Vec3,
  VqGan,
} from '../src/index';
import { findPython } from './python';
import { quiet } from './quiet';
import { type BenchReport, type BenchRow, machine, median, row } from './report';

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
  /** Our backends; default libtorch where it is built, else wasm. */
  readonly backends?: readonly string[];
  /** Threads of each side; default 2. */
  readonly threads?: number;
  /** What our activations are stored in; with `bf16` PyTorch's bf16 autocast is a peer too. Default float32. */
  readonly precision?: Precision;
  /** Seconds to wait before a turn for other programs to be quiet; default 20. */
  readonly patience?: number;
}

/** What every side is given. */
export interface StepSetup {
  /** Stem of the files with the weights, the codebook and the batch. */
  readonly state: string;
  readonly config: ModelConfig;
  readonly threads: number;
  readonly precision: Precision;
  readonly learningRate: number;
  readonly clip: number;
}

interface Turn {
  readonly ms: number[];
  readonly losses: number[];
  readonly peak: number;
}

/** Steps of a side that are not timed: memory is faulted in and code chosen in them. */
const WARM_UP = 2;

/**
 * A training step of the generator beside the same model in PyTorch eager, from the same weights on the same patch.
 * Each side is a process that stays; they take turns, so that what else the machine does meets all of them.
 */
export async function benchStep(options: StepBenchOptions = {}): Promise<BenchReport> {
  const {
    preset = 'upstream',
    shape: size = [64, 64, 32],
    repeats = 4,
    steps = 5,
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
    await writeState(state, config, size);
    const { learningRate, clip } = base;
    const setup: StepSetup = { state, config, threads, precision, learningRate, clip };
    for (const backend of backends) sides.push(ourSide(backend, setup));
    const python = await findPython(['torch', 'numpy']);
    const layouts = precision === 'bf16' ? [channelsLast, contiguous, autocast] : [channelsLast, contiguous];
    for (const name of python ? layouts : []) sides.push(peerSide(python!, name, setup));
    for (const side of sides) await side.ready;
    for (let round = 0; round < repeats; round++) {
      for (const [i, side] of sides.entries()) {
        signal?.throwIfAborted();
        // Threads that wait for one another lose far more to a busy neighbour than its share of the processors.
        await quiet(patience, signal);
        side.turns.push(await side.take(steps));
        onProgress?.({ done: round * sides.length + i + 1, total: repeats * sides.length, what: 'turns' });
      }
    }
    const name = `${preset}${options.hidden ? `, ${options.hidden} channels` : ''}, ${size.join(' x ')}${precision === 'bf16' ? ', bf16' : ''}`;
    const ours = sides.slice(0, backends.length);
    return {
      bench: 'step',
      machine: machine(),
      rows: ours.flatMap((side) => rowsOf(name, side, sides.slice(backends.length))),
    };
  } finally {
    for (const side of sides) side.process.kill();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Against each peer, and the losses against the first. */
function rowsOf(name: string, ours: Side, peers: readonly Side[]): BenchRow[] {
  const label = `${name}, ${ours.name}`;
  const compare = (metric: string, unit: string, peer: Side | undefined, of: (side: Side) => number[]) =>
    row({ case: label, metric, unit, peerName: peer?.name ?? 'PyTorch' }, of(ours), peer ? of(peer) : []);
  const time = (side: Side) => side.turns.flatMap(({ ms }) => ms).slice(WARM_UP);
  const peak = (side: Side) => [side.turns.at(-1)!.peak];
  const losses = (side: Side) => side.turns.flatMap((turn) => turn.losses);
  const sorted = [...peers].sort((a, b) => median(time(a)) - median(time(b)));
  const rows = (sorted.length ? sorted : [undefined]).flatMap((peer) => [
    compare('step', 'ms', peer, time),
    compare('peak memory above the weights', 'MiB', peer, peak),
  ]);
  if (!sorted[0]) return rows;
  // PyTorch's default layout is the reference; its other one goes a way of its own, by much more than rounding.
  const [expected, other] = [contiguous, channelsLast].map((layout) =>
    peers.find((peer) => peer.name === layout),
  );
  const away = (side: Side) => {
    const pairs = losses(side).map((loss, i) => Math.abs(loss - losses(expected!)[i]!));
    return Math.max(...pairs);
  };
  const [worst, peer] = [away(ours), away(other!)];
  const metric = `largest distance of ${losses(expected!).length} losses from PyTorch's contiguous`;
  return [
    ...rows,
    { case: label, metric, unit: '', ours: worst, peer, peerName: channelsLast, ratio: worst / peer },
  ];
}

const contiguous = 'PyTorch eager contiguous';
const channelsLast = 'PyTorch eager channels_last_3d';
const autocast = 'PyTorch eager channels_last_3d, bf16 autocast';

interface Side {
  readonly name: string;
  readonly process: ChildProcess;
  /** Settles when it has loaded. */
  readonly ready: Promise<unknown>;
  readonly turns: Turn[];
  take(steps: number): Promise<Turn>;
}

function ourSide(backend: string, setup: StepSetup): Side {
  const program = compiledFile('bench', 'step-side.js');
  return side(backend, process.execPath, [program, JSON.stringify({ ...setup, backend })]);
}

function peerSide(python: string, name: string, setup: StepSetup): Side {
  const program = join(packageRoot(), 'bench', 'step_peer.py');
  const args = JSON.stringify({ ...setup, channelsLast: name !== contiguous, bf16: name === autocast });
  return side(name, python, [program, args]);
}

function side(name: string, program: string, args: readonly string[]): Side {
  const process = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${name} ended before it answered`);
    return JSON.parse(value);
  };
  return {
    name,
    process,
    ready: answer(),
    turns: [],
    take: async (steps) => {
      process.stdin.write(`${steps}\n`);
      return (await answer()) as Turn;
    },
  };
}

/** Fresh weights, a codebook near what they make of the patch, and a patch of the chest phantom. */
async function writeState(stem: string, config: ModelConfig, size: Vec3): Promise<void> {
  await useBackend('cpu');
  const model = new VqGan(config, 0);
  const arrays = new Map(model.state());
  model.dispose();
  const rows = phantom({ shape: [config.codes, config.codeDim, 1], seed: 2 }).data;
  const embeddings = rows.map((value) => value / 1000);
  const shape = [config.codes, config.codeDim];
  arrays.set('codebook.embeddings', { shape, data: embeddings });
  arrays.set('codebook.z_avg', { shape, data: embeddings });
  arrays.set('codebook.N', { shape: [config.codes], data: new Float32Array(config.codes).fill(1) });
  arrays.set('codebook.initialised', { shape: [1], data: Float32Array.of(1) });
  const ct = phantom({ shape: size, seed: 1 });
  const data = toModel(ct.data, resolveIntensity('ctpa', ct));
  arrays.set('x', { shape: [1, size[2], size[1], size[0], 1], data });
  let offset = 0;
  const index = [...arrays].map(([name, array]) => {
    const entry = { name, shape: array.shape, offset };
    offset += array.data.length;
    return entry;
  });
  const all = new Float32Array(offset);
  for (const { name, offset: at } of index) all.set(arrays.get(name)!.data, at);
  await writeFile(`${stem}.json`, JSON.stringify(index));
  await writeFile(`${stem}.bin`, new Uint8Array(all.buffer));
}
