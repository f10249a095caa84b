import type { LongCall, Vec3 } from '../src/index';
import { compiledFile } from '../src/internal';
import { findPython } from './python';
import { type BenchReport, machine } from './report';
import { type Measured, measure, measuredRows, pythonMeasured } from './side';

export interface BlendBenchOptions extends LongCall {
  /** Voxels along x, y and z; default the guide's 512 x 512 x 604. */
  readonly shape?: Vec3;
  /** Runs of each side; default 3. */
  readonly repeats?: number;
}

const peerName = 'MONAI sliding_window_inference, 2 threads';

/** MONAI's side: an identity network that returns a copy, patches of 256 x 256 x 128, overlap 0.25, gaussian. */
const peerScript = `
import sys, warnings
warnings.simplefilter('ignore')
import torch
from monai.inferers import sliding_window_inference
torch.set_num_threads(2)
x, y, z = map(int, sys.argv[1:])
volume = torch.empty(1, 1, z, y, x).uniform_()  # in place, so that making it leaves no higher peak than itself
def call():
    with torch.no_grad():
        sliding_window_inference(volume, (128, 256, 256), 1, lambda patch: patch.clone(), overlap=0.25, mode='gaussian')
measured(call)
`;

const cases = [
  { name: 'streamed in slabs, 2 threads', to: 'slabs', where: 'memory', threads: 2 },
  { name: 'streamed in slabs, 1 thread', to: 'slabs', where: 'memory', threads: 1 },
  {
    name: 'streamed in slabs, 2 threads, volume in an array of its own',
    to: 'slabs',
    where: 'plain',
    threads: 2,
  },
  { name: 'to one array, 2 threads', to: 'array', where: 'memory', threads: 2 },
] as const;

/**
 * Compares blending with MONAI's. The network is the identity: each side copies each patch out of the volume once and
 * blends the copies. The volume is in memory before the clock starts: ours in a `VoxelMemory`, or in a plain array if the
 * case says so. Each run is a separate process, and the sides take turns. MONAI's columns are null without a Python that
 * has it. Our streamed slabs are dropped at once, while MONAI holds its output volume; `to one array` holds ours too.
 */
export async function benchBlend(options: BlendBenchOptions = {}): Promise<BenchReport> {
  const { shape = [512, 512, 604], repeats = 3, signal, onProgress } = options;
  const side = compiledFile('bench', 'blend-side.js');
  const size = shape.map(String);
  const python = await findPython(['torch', 'monai']);
  const ours = cases.map((): Measured[] => []);
  const peer: Measured[] = [];
  for (let n = 0; n < repeats; n++) {
    if (python) peer.push(await measure(python, ['-c', pythonMeasured + peerScript, ...size], signal));
    for (const [i, { to, where, threads }] of cases.entries()) {
      ours[i]!.push(await measure(process.execPath, [side, to, where, String(threads), ...size], signal));
    }
    onProgress?.({ done: n + 1, total: repeats, what: 'rounds' });
  }
  const rows = cases.flatMap(({ name }, i) =>
    measuredRows(`${name}, ${shape.join(' x ')}`, peerName, ours[i]!, peer),
  );
  return { bench: 'blend', machine: machine(), rows };
}
