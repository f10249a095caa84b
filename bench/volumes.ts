import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { LongCall, Vec3 } from '../src/index';
import { compiledFile } from '../src/internal';
import { findPython } from './python';
import { type BenchReport, type BenchRow, machine, row } from './report';

export interface VolumesBenchOptions extends LongCall {
  /** Voxels along x, y and z; default the guide's 512 x 512 x 604. */
  readonly shape?: Vec3;
  /** Runs of each side; default 3. */
  readonly repeats?: number;
}

interface Measured {
  readonly seconds: number;
  readonly mebibytes: number;
}

const peerName = 'nibabel';

/** The same work in nibabel. Writing starts from an int16 array, as in a program. */
const peerScript = `
import json, resource, sys, time
import nibabel, numpy
what, path, *out = sys.argv[1:]
if what == 'write':
    image = nibabel.load(path)
    values, affine = image.get_fdata(dtype=numpy.float32), image.affine
start = time.perf_counter()
if what == 'voxels':
    numpy.asanyarray(nibabel.load(path).dataobj)
elif what == 'write':
    result = nibabel.Nifti1Image(values, affine, dtype=numpy.int16)
    result.header.set_slope_inter(1, 0)
    nibabel.save(result, out[0])
else:
    nibabel.load(path).get_fdata(dtype=numpy.float32)
seconds = time.perf_counter() - start
print(json.dumps({'seconds': seconds, 'mebibytes': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
`;

const cases = [
  { name: 'read int16 .nii.gz as float32', what: 'read', file: 'phantom.nii.gz' },
  { name: 'read int16 .nii as float32', what: 'read', file: 'phantom.nii' },
  { name: 'read int16 .nii.gz as stored', what: 'voxels', file: 'phantom.nii.gz' },
  { name: 'write int16 .nii.gz', what: 'write', file: 'phantom.nii' },
] as const;

/**
 * Compares reading and writing a phantom with nibabel: time of the call and peak memory of the process. Each run is a
 * separate process, and the sides take turns. nibabel's columns are null without a Python that has it.
 */
export async function benchVolumes(options: VolumesBenchOptions = {}): Promise<BenchReport> {
  const { shape = [512, 512, 604], repeats = 3, signal, onProgress } = options;
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-bench-'));
  try {
    const python = await findPython(['nibabel', 'numpy']);
    // Written in its own process, because Linux counts a parent's memory at the fork as its child's peak.
    const side = compiledFile('bench', 'volumes-side.js');
    const stem = join(folder, 'phantom');
    await promisify(execFile)(process.execPath, [side, 'make', stem, shape.join('x')], { signal });
    const rows: BenchRow[] = [];
    for (const [done, { name, what, file }] of cases.entries()) {
      const out = join(folder, 'written.nii.gz');
      const runs = { ours: [] as Measured[], peer: [] as Measured[] };
      for (let n = 0; n < repeats; n++) {
        const ours = [side, what, join(folder, file), out];
        runs.ours.push(await measure(process.execPath, ours, signal));
        if (!python) continue;
        runs.peer.push(await measure(python, ['-c', peerScript, what, join(folder, file), out], signal));
      }
      rows.push(...rowsOf(`${name}, ${shape.join(' x ')}`, runs, shape, what));
      onProgress?.({ done: done + 1, total: cases.length, what: 'cases' });
    }
    return { bench: 'volumes', machine: machine(), rows };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function rowsOf(
  name: string,
  { ours, peer }: { ours: readonly Measured[]; peer: readonly Measured[] },
  shape: Vec3,
  what: string,
): BenchRow[] {
  const compare = (metric: string, unit: string, of: (run: Measured) => number) =>
    row({ case: name, metric, unit, peerName }, ours.map(of), peer.map(of));
  const voxels = shape[0] * shape[1] * shape[2];
  const volumeMebibytes = (voxels * (what === 'voxels' ? 2 : 4)) / 2 ** 20;
  const held = what === 'voxels' ? 'int16 volume' : 'float32 volume';
  return [
    compare('time', 's', (run) => run.seconds),
    compare('peak memory', 'MiB', (run) => run.mebibytes),
    compare(`peak memory over the ${held}`, 'x', (run) => run.mebibytes / volumeMebibytes),
  ];
}

async function measure(program: string, args: readonly string[], signal?: AbortSignal): Promise<Measured> {
  const { stdout } = await promisify(execFile)(program, args, { signal });
  return JSON.parse(stdout) as Measured;
}
