import { queryGpus } from '../../compute/machine/gpus';
import { ownGpu } from '../collective/world';
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
      this.asked = Number.POSITIVE_INFINITY; // until it has answered
      void this.askForGpu(this.gpuId);
    }
    return { cpuByRank: cpu, memoryByRank: process.memoryUsage.rss() / 2 ** 20, ...this.gpu };
  }

  private async askForGpu(id: string): Promise<void> {
    const [answer] = (await queryGpus(['utilization.gpu', 'memory.used'], id)) ?? [];
    const [gpuByRank, gpuMemoryByRank] = (answer ?? []).map(Number.parseFloat);
    if (Number.isFinite(gpuByRank) && Number.isFinite(gpuMemoryByRank))
      this.gpu = { gpuByRank: gpuByRank!, gpuMemoryByRank: gpuMemoryByRank! };
    this.asked = performance.now();
  }
}
