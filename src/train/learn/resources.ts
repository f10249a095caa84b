import { execFile } from 'node:child_process';
import { ownGpu } from '../collective/devices';
import type { RankMeasure } from '../settings/measures';

/** What one rank measures of itself, under the names of the measures. */
export type RankFigures = Readonly<Partial<Record<RankMeasure, number>>>;

/** Milliseconds between two questions to nvidia-smi, which takes a moment to answer. */
const gpuInterval = 5000;

/** Measures this process, and now and then its GPU where nvidia-smi knows one. */
export class ResourceMeter {
  private readonly gpuId: string | undefined = ownGpu();
  private gpu: RankFigures = {};
  private asked = Number.NEGATIVE_INFINITY;
  private lastCpu = process.cpuUsage();
  private lastTime = performance.now();

  look(): RankFigures {
    const [used, now] = [process.cpuUsage(this.lastCpu), performance.now()];
    const cpu = (used.user + used.system) / 1000 / Math.max(1, now - this.lastTime);
    this.lastCpu = process.cpuUsage();
    this.lastTime = now;
    if (this.gpuId !== undefined && now - this.asked > gpuInterval) {
      this.asked = now;
      this.askForGpu(this.gpuId);
    }
    return { cpuByRank: cpu, memoryByRank: process.memoryUsage.rss() / 2 ** 20, ...this.gpu };
  }

  private askForGpu(id: string): void {
    const query = [`--id=${id}`, '--query-gpu=utilization.gpu,memory.used', '--format=csv,noheader,nounits'];
    execFile('nvidia-smi', query, { timeout: 4000 }, (error, stdout) => {
      const [gpuByRank, gpuMemoryByRank] = stdout.split(',').map(Number);
      if (!error && Number.isFinite(gpuByRank) && Number.isFinite(gpuMemoryByRank))
        this.gpu = { gpuByRank: gpuByRank!, gpuMemoryByRank: gpuMemoryByRank! };
    });
  }
}
