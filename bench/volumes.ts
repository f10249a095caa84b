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
  /** Processor time of all threads. */
  readonly cpu: number;
  readonly mebibytes: number;
}

/** The same work in nibabel. Writing starts from an int16 array, as in a program. */
const nibabelScript = `
import json, resource, sys, time
import nibabel, numpy
what, path, *out = sys.argv[1:]
if what == 'write':
    image = nibabel.load(path)
    values, affine = image.get_fdata(dtype=numpy.float32), image.affine
before = resource.getrusage(resource.RUSAGE_SELF)
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
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps({'seconds': seconds, 'cpu': cpu, 'mebibytes': after.ru_maxrss / 1024}))
`;

/** Native dcm2niix to a .nii.gz of level 1, with its memory. */
const dcm2niixScript = `
import json, os, resource, subprocess, sys, time
what, path, out = sys.argv[1:]
os.makedirs(out)
start = time.perf_counter()
subprocess.run(['dcm2niix', '-1', '-z', 'i', '-b', 'n', '-o', out, path], check=True, stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({'seconds': seconds, 'cpu': used.ru_utime + used.ru_stime, 'mebibytes': used.ru_maxrss / 1024}))
`;

const peers = { nibabel: nibabelScript, dcm2niix: dcm2niixScript } as const;

interface Case {
  readonly name: string;
  readonly what: 'read' | 'voxels' | 'write' | 'convert' | 'prepare';
  readonly from: string;
  readonly to?: string;
  readonly peer: keyof typeof peers;
  /** Our side starts with glibc's wish for large pages of memory. No process of ours has it otherwise. */
  readonly largePages?: true;
}

const [plain, packed, series] = ['phantom.nii', 'phantom.nii.gz', 'phantom-dicom'];
const nibabel = { peer: 'nibabel' } as const;
const dcm2niix = { from: series, to: 'made', peer: 'dcm2niix' } as const;

const cases: readonly Case[] = [
  { name: 'read int16 .nii as float32', what: 'read', from: plain, ...nibabel },
  {
    name: 'read int16 .nii as float32, large pages',
    what: 'read',
    from: plain,
    largePages: true,
    ...nibabel,
  },
  { name: 'read int16 .nii.gz as float32', what: 'read', from: packed, ...nibabel },
  { name: 'read int16 .nii.gz as stored', what: 'voxels', from: packed, ...nibabel },
  { name: 'write int16 .nii', what: 'write', from: plain, to: 'written.nii', ...nibabel },
  { name: 'write int16 .nii.gz', what: 'write', from: plain, to: 'written.nii.gz', ...nibabel },
  { name: 'convert DICOM to .nii.gz', what: 'convert', ...dcm2niix },
  { name: 'prepare DICOM', what: 'prepare', ...dcm2niix },
];

/**
 * Compares reading and writing a phantom with nibabel, and DICOM with native dcm2niix: time of the call, and peak memory of
 * the process. Each run is a separate process, and the sides take turns. A peer's columns are null where it is missing.
 */
export async function benchVolumes(options: VolumesBenchOptions = {}): Promise<BenchReport> {
  const { shape = [512, 512, 604], repeats = 3, signal, onProgress } = options;
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-bench-'));
  try {
    const pythons = {
      nibabel: await findPython(['nibabel', 'numpy']),
      dcm2niix: (await runs('dcm2niix', ['-v'])) ? await findPython(['json']) : undefined,
    };
    // Written in its own process, because Linux counts a parent's memory at the fork as its child's peak.
    const side = compiledFile('bench', 'volumes-side', 'main.js');
    const environment = { ...process.env, PATCHWISE_PATIENT_KEY: join(folder, 'key') };
    const stem = join(folder, 'phantom');
    await promisify(execFile)(process.execPath, [side, 'make', stem, shape.join('x')], { signal });
    const rows: BenchRow[] = [];
    for (const [done, { name, what, from, to = 'none', peer, largePages }] of cases.entries()) {
      const measured = { ours: [] as Measured[], peer: [] as Measured[] };
      const [input, output] = [join(folder, from), join(folder, to)];
      const python = pythons[peer];
      for (let n = 0; n < repeats; n++) {
        await rm(output, { recursive: true, force: true });
        const env = largePages ? { ...environment, GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' } : environment;
        measured.ours.push(await measure(process.execPath, [side, what, input, output], { env, signal }));
        if (!python) continue;
        await rm(output, { recursive: true, force: true });
        measured.peer.push(await measure(python, ['-c', peers[peer], what, input, output], { signal }));
      }
      rows.push(...rowsOf(`${name}, ${shape.join(' x ')}`, peer, measured, shape, what));
      onProgress?.({ done: done + 1, total: cases.length, what: 'cases' });
    }
    return { bench: 'volumes', machine: machine(), rows };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function rowsOf(
  name: string,
  peerName: string,
  { ours, peer }: { ours: readonly Measured[]; peer: readonly Measured[] },
  shape: Vec3,
  what: string,
): BenchRow[] {
  const compare = (metric: string, unit: string, of: (run: Measured) => number) =>
    row({ case: name, metric, unit, peerName }, ours.map(of), peer.map(of));
  const voxels = shape[0] * shape[1] * shape[2];
  const stored = what === 'voxels' || peerName === 'dcm2niix';
  const volumeMebibytes = (voxels * (stored ? 2 : 4)) / 2 ** 20;
  const held = stored ? 'int16 volume' : 'float32 volume';
  return [
    compare('time', 's', (run) => run.seconds),
    compare('processor time', 's', (run) => run.cpu),
    compare('peak memory', 'MiB', (run) => run.mebibytes),
    compare(`peak memory over the ${held}`, 'x', (run) => run.mebibytes / volumeMebibytes),
  ];
}

async function measure(
  program: string,
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly signal?: AbortSignal },
): Promise<Measured> {
  const { stdout } = await promisify(execFile)(program, args, options);
  return JSON.parse(stdout) as Measured;
}

/** Whether a program is on this machine. Its exit code does not matter. */
async function runs(program: string, args: readonly string[]): Promise<boolean> {
  return promisify(execFile)(program, args).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  );
}
