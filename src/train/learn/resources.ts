import { execFile } from 'node:child_process';
import { ownGpu } from '../collective/devices';

/** What a rank's process has in use. */
export interface Resources {
  /** Cores that were kept busy since the last look; 2 is two of them. */
  readonly cpu: number;
  /** MiB of the host's memory. */
  readonly memory: number;
  /** Of the rank's GPU, where nvidia-smi knows one: percent of the time that it computed, and MiB of its memory. */
  readonly gpu: number;
  readonly gpuMemory: number;
}

export const resourceNames = ['cpu', 'memory', 'gpu', 'gpuMemory'] as const;

/** Milliseconds between two questions to nvidia-smi, which takes a moment to answer. */
const gpuInterval = 5000;

/** Looks at this process, and now and then at its GPU. */
export class ResourceMeter {
  private readonly gpuId: string | undefined = ownGpu();
  private gpu = { gpu: 0, gpuMemory: 0 };
  private asked = Number.NEGATIVE_INFINITY;
  private lastCpu = process.cpuUsage();
  private lastTime = performance.now();

  look(): Resources {
    const [used, now] = [process.cpuUsage(this.lastCpu), performance.now()];
    const cpu = (used.user + used.system) / 1000 / Math.max(1, now - this.lastTime);
    this.lastCpu = process.cpuUsage();
    this.lastTime = now;
    if (this.gpuId !== undefined && now - this.asked > gpuInterval) {
      this.asked = now;
      this.askForGpu(this.gpuId);
    }
    return { cpu, memory: process.memoryUsage.rss() / 2 ** 20, ...this.gpu };
  }

  private askForGpu(id: string): void {
    const query = [`--id=${id}`, '--query-gpu=utilization.gpu,memory.used', '--format=csv,noheader,nounits'];
    execFile('nvidia-smi', query, { timeout: 4000 }, (error, stdout) => {
      const [gpu, gpuMemory] = stdout.split(',').map(Number);
      if (!error && Number.isFinite(gpu) && Number.isFinite(gpuMemory))
        this.gpu = { gpu: gpu!, gpuMemory: gpuMemory! };
    });
  }
}
