import { mae, psnr, ssim } from '../src/index';
import { measureCall } from './side';

/** One run of our side in a process of its own: `node metrics-side.js ssim|psnr|mae N` on volumes of N cubed. */
async function main(): Promise<void> {
  const [metric, n] = process.argv.slice(2);
  const size = Number(n);
  const reference = new Float32Array(size ** 3);
  const candidate = new Float32Array(size ** 3);
  for (let i = 0; i < reference.length; i++) {
    reference[i] = ((i * 2654435761) % 1000) / 1000;
    candidate[i] = reference[i]! + ((i * 40503) % 100) / 1000;
  }
  const metrics: Record<string, () => number> = {
    ssim: () => ssim(reference, candidate, { shape: [size, size, size], dataRange: 1 }),
    psnr: () => psnr(reference, candidate, { dataRange: 1 }),
    mae: () => mae(reference, candidate),
  };
  process.stdout.write(JSON.stringify(await measureCall(metrics[metric!]!)));
}

main().catch((error: unknown) => {
  process.stderr.write(`${error}\n`);
  process.exitCode = 1;
});
