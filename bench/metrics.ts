import { compiledFile, type LongCall } from '../src/index';
import { findPython } from './python';
import { type BenchReport, type BenchRow, machine } from './report';
import { type Measured, measure, measuredRows, pythonMeasured } from './side';

export interface MetricsBenchOptions extends LongCall {
  /** Voxels along each axis; default 256. */
  readonly size?: number;
  /** Runs of each side; default 3. */
  readonly repeats?: number;
}

/** Volumes of the same size in scikit-image, which has no MAE of its own: numpy's expression for it. */
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
    'mae': lambda: numpy.abs(reference - candidate).mean(),
}
measured(calls[metric])
`;

const cases = [
  { metric: 'ssim', peerName: 'scikit-image structural_similarity' },
  { metric: 'psnr', peerName: 'scikit-image peak_signal_noise_ratio' },
  { metric: 'mae', peerName: 'numpy' },
] as const;

/**
 * Metrics of two float32 volumes beside scikit-image. Each run is a process of its own, the sides taking turns; the
 * peer's columns are null where no Python has it.
 */
export async function benchMetrics(options: MetricsBenchOptions = {}): Promise<BenchReport> {
  const { size = 256, repeats = 3, signal, onProgress } = options;
  const side = compiledFile('bench', 'metrics-side.js');
  const python = await findPython(['numpy', 'skimage']);
  const rows: BenchRow[] = [];
  for (const [done, { metric, peerName }] of cases.entries()) {
    const ours: Measured[] = [];
    const peer: Measured[] = [];
    for (let n = 0; n < repeats; n++) {
      const args = [metric, String(size)];
      if (python) peer.push(await measure(python, ['-c', pythonMeasured + peerScript, ...args], signal));
      ours.push(await measure(process.execPath, [side, ...args], signal));
    }
    rows.push(...measuredRows(`${metric}, ${size} cubed`, peerName, ours, peer));
    onProgress?.({ done: done + 1, total: cases.length, what: 'cases' });
  }
  return { bench: 'metrics', machine: machine(), rows };
}
