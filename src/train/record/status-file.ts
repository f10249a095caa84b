import { isFull } from './disk-space';
import { type RunStatus, readStatus, writeStatus } from './status';

const moving: readonly string[] = ['heartbeats', 'step'];

/** The writer of a run's `status.json`: changes come at every step, the file is replaced twice a second. */
export class StatusFile {
  private status: RunStatus;
  private timer: NodeJS.Timeout | undefined;
  /** Whether more has changed than what changes all the time. */
  private isNews = true;

  constructor(private readonly runDir: string) {
    this.status = readStatus(runDir);
  }

  get current(): RunStatus {
    return this.status;
  }

  update(change: Partial<RunStatus>): void {
    this.isNews ||= Object.keys(change).some((key) => !moving.includes(key));
    this.status = { ...this.status, ...change };
    this.timer ??= setTimeout(() => this.flush(), 500);
  }

  /** Writes down that this rank gave a sign of life. */
  heartbeat(rank: number): void {
    const heartbeats = [...this.status.heartbeats];
    while (heartbeats.length <= rank) heartbeats.push(null);
    heartbeats[rank] = new Date().toISOString();
    this.update({ heartbeats });
  }

  /** Writes now. A full disk must not end the run that it reports on, so that is only logged. */
  flush(): void {
    this.write();
  }

  /** Writes how the run has ended. Nobody writes after that, so while the disk is full it tries again, for ten minutes. */
  async flushEnd(): Promise<void> {
    for (let tries = 0; isFull(this.write()) && tries < 600; tries++)
      await new Promise((resolve) => setTimeout(resolve, 1000));
  }

  /** Returns what went wrong, if anything. */
  private write(): unknown {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.status = { ...this.status, updated: new Date().toISOString() };
    try {
      // To wait for a slow disk twice a second would keep its writer from everything else.
      writeStatus(this.runDir, this.status, { durable: this.isNews });
      this.isNews = false;
      return undefined;
    } catch (error) {
      console.error(`status.json was not written: ${(error as Error).message}`);
      return error;
    }
  }
}
