import type { LongCall } from '../src/index';
import { compiledFile } from '../src/internal';
import { findPython } from './python';
import { type BenchReport, type BenchRow, machine } from './report';
import { type Measured, measure, measuredRows, pythonMeasured } from './side';

export interface MetricsBenchOptions extends LongCall {
  /** Voxels along each axis; default 256. */
  readonly size?: number;
  /** Runs of each side; default 3. */
  readonly repeats?: number;
}

/** The peers: scikit-image, and numpy for the MAE that scikit-image lacks. */
const peerScript = `
import sys
import numpy
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
metric, size = sys.argv[1], int(sys.argv[2])
# In place, so that making the volumes leaves no higher peak than themselves.
random = numpy.random.default_rng(0)
reference = random.random((size, size, size), dtype=numpy.float32)
candidate = random.random((size, size, size), dtype=numpy.float32)
candidate *= 0.1
candidate += reference
calls = {
    'ssim': lambda: structural_similarity(reference, candidate, data_range=1.0, gaussian_weights=True, use_sample_covariance=False),
    'psnr': lambda: peak_signal_noise_ratio(reference, candidate, data_range=1.0),
    'rmse': lambda: numpy.sqrt(((reference - candidate) ** 2).mean(dtype=numpy.float64)),
    'mae': lambda: numpy.abs(reference - candidate).mean(dtype=numpy.float64),
    'greatest': lambda: numpy.abs(reference - candidate).max(),
}
calls['errors'] = lambda: [calls[name]() for name in ('psnr', 'mae', 'rmse', 'greatest')]
measured(calls[metric], warm=metric != 'ssim')
`;

const skimage = 'scikit-image peak_signal_noise_ratio';
const each = 'scikit-image and numpy, one after the other';
const cases = [
  { name: 'SSIM', metric: 'ssim', where: 'memory', peerName: 'scikit-image structural_similarity' },
  { name: 'PSNR', metric: 'psnr', where: 'memory', peerName: skimage },
  { name: 'PSNR, volumes in arrays of their own', metric: 'psnr', where: 'plain', peerName: skimage },
  { name: 'RMSE', metric: 'rmse', where: 'memory', peerName: 'numpy' },
  { name: 'MAE', metric: 'mae', where: 'memory', peerName: 'numpy' },
  {
    name: 'PSNR, MAE, RMSE and greatest error in one reading',
    metric: 'errors',
    where: 'memory',
    peerName: each,
  },
] as const;

/**
 * Compares metrics of two float32 volumes with scikit-image. Ours lie in one `VoxelMemory`, which threads read, or in
 * plain arrays if the case says so. Each run is a separate process, and the sides take turns. The second call of a process
 * counts (for SSIM the first). The peer's columns are null without a Python that has it.
 */
export async function benchMetrics(options: MetricsBenchOptions = {}): Promise<BenchReport> {
  const { size = 256, repeats = 3, signal, onProgress } = options;
  const side = compiledFile('bench', 'metrics-side.js');
  const python = await findPython(['numpy', 'skimage']);
  const rows: BenchRow[] = [];
  for (const [done, { name, metric, where, peerName }] of cases.entries()) {
    const ours: Measured[] = [];
    const peer: Measured[] = [];
    for (let n = 0; n < repeats; n++) {
      const own = [side, metric, where, String(size)];
      if (python)
        peer.push(await measure(python, ['-c', pythonMeasured + peerScript, metric, String(size)], signal));
      ours.push(await measure(process.execPath, own, signal));
    }
    rows.push(...measuredRows(`${name}, ${size} cubed`, peerName, ours, peer));
    onProgress?.({ done: done + 1, total: cases.length, what: 'cases' });
  }
  return { bench: 'metrics', machine: machine(), rows };
}
