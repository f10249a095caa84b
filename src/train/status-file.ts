import { type RunStatus, readStatus, writeStatus } from './status';

/** The writer of a run's `status.json`: changes come at every step, the file is replaced a few times a second. */
export class StatusFile {
  private status: RunStatus;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly runDir: string) {
    this.status = readStatus(runDir);
  }

  get current(): RunStatus {
    return this.status;
  }

  update(change: Partial<RunStatus>): void {
    this.status = { ...this.status, ...change };
    this.timer ??= setTimeout(() => this.flush(), 250);
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
    clearTimeout(this.timer);
    this.timer = undefined;
    this.status = { ...this.status, updated: new Date().toISOString() };
    try {
      writeStatus(this.runDir, this.status);
    } catch (error) {
      console.error(`status.json was not written: ${(error as Error).message}`);
    }
  }
}
