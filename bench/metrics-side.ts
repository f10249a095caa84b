import { mae, psnr, rmse, ssim, VoxelMemory } from '../src/index';
import { ErrorSums } from '../src/internal';
import { measureCall } from './side';

/**
 * One run of our side: `node metrics-side.js ssim|psnr|rmse|mae|errors memory|plain N` on volumes of N cubed, in one
 * VoxelMemory or in plain arrays. It measures the second call, because the first one starts the threads.
 */
async function main(): Promise<void> {
  const [metric, where, n] = process.argv.slice(2);
  const size = Number(n);
  const memory = where === 'memory' ? new VoxelMemory() : undefined;
  const make = () => memory?.floats(size ** 3) ?? new Float32Array(size ** 3);
  const [reference, candidate] = [make(), make()];
  for (let i = 0; i < reference.length; i++) {
    reference[i] = ((i * 2654435761) % 1000) / 1000;
    candidate[i] = reference[i]! + ((i * 40503) % 100) / 1000;
  }
  const metrics: Record<string, () => number> = {
    ssim: () => ssim(reference, candidate, { shape: [size, size, size], dataRange: 1 }),
    psnr: () => psnr(reference, candidate, { dataRange: 1 }),
    rmse: () => rmse(reference, candidate),
    mae: () => mae(reference, candidate),
    errors: () => {
      const sums = new ErrorSums().add(reference, candidate);
      return sums.psnr({ dataRange: 1 }) + sums.mae + sums.rmse + sums.greatest;
    },
  };
  const call = metrics[metric!]!;
  process.stdout.write(JSON.stringify(await measureCall(call, { warm: metric !== 'ssim' })));
}

main().catch((error: unknown) => {
  process.stderr.write(`${error}\n`);
  process.exitCode = 1;
});
