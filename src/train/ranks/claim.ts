import { randomUUID } from 'node:crypto';
import { fstatSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { replaceFile, withFile } from '../../atomic-file';
import { attempt, InvalidArgument } from '../../errors';
import { identify, isAlive, type ProcessIdentity, thisMachine } from '../../process-identity';

/** The one process that may write a run's files. `owner.json` in the folder names it. */
export interface Owner extends ProcessIdentity {
  /** A `launcher` starts the supervisor and hands the run to it. */
  readonly role: 'launcher' | 'supervisor' | 'rank';
  readonly host: string;
  readonly machine: string;
  /** Names this claim; stays the same when another process takes it over. */
  readonly token: string;
}

/** Environment variable in which a launcher hands the token to its supervisor. */
export const claimVariable = 'PATCHWISE_CLAIM';

/** Seconds that an owner here gets to end, and in which one on another machine must give a sign of life. */
const patience = { here: 5, elsewhere: 15 };

/** Takes a run for this process. @throws InvalidArgument naming the process that has it */
export async function claimRun(runDir: string, role: Owner['role']): Promise<Claim> {
  const token = randomUUID();
  const owner: Owner = { ...identify(process.pid)!, role, host: hostname(), machine: thisMachine(), token };
  for (let waited = 0; ; waited += 0.1) {
    try {
      writeFileSync(ownerPath(runDir), `${JSON.stringify(owner)}\n`, { flag: 'wx' });
      return new Claim(runDir, owner);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') throw new InvalidArgument('run', 'a run whose folder is there', runDir);
      if (code !== 'EEXIST') throw error;
    }
    const other = readOwner(runDir);
    // Another process may be writing a file that cannot be read yet.
    if (other ? !(await livesOn(runDir, other)) : waited > 1) removeStale(runDir, other);
    else if (other && (waited >= patience.here || !isHere(other))) throw taken(runDir, other);
    else await pause(100);
  }
}

/** Takes over the claim of this process's launcher. @throws InvalidArgument if another process has the run */
export async function adoptClaim(runDir: string): Promise<Claim> {
  const other = readOwner(runDir);
  const token = process.env[claimVariable];
  if (token === undefined || other === undefined) return claimRun(runDir, 'supervisor');
  if (other.token !== token) throw taken(runDir, other);
  const claim = new Claim(runDir, other);
  claim.handTo(identify(process.pid)!);
  return claim;
}

/** The owner that the folder names; its process may be gone. */
export function readOwner(runDir: string): Owner | undefined {
  const owner = attempt(() => JSON.parse(readFileSync(ownerPath(runDir), 'utf8')) as Partial<Owner> | null);
  return typeof owner?.token === 'string' ? (owner as Owner) : undefined;
}

export function isHere({ machine }: Pick<Owner, 'machine'>): boolean {
  return machine === thisMachine();
}

/**
 * Whether the owner lives. Processes of another machine or container cannot be seen, so their owner must touch its file
 * within some seconds. No clocks are compared.
 */
export async function livesOn(runDir: string, owner: Owner): Promise<boolean> {
  if (isHere(owner)) return isAlive(owner);
  const before = touched(runDir);
  for (let waited = 0; waited < patience.elsewhere; waited += 0.5) {
    await pause(500);
    const now = touched(runDir);
    if (now !== before) return now !== undefined;
  }
  return false;
}

/** This process's claim on a run. */
export class Claim {
  private beats: Worker | undefined;

  constructor(
    private readonly runDir: string,
    private owner: Owner,
    readonly token = owner.token,
  ) {}

  handTo(supervisor: ProcessIdentity): void {
    this.owner = { ...this.owner, ...supervisor, role: 'supervisor' };
    replaceFile(ownerPath(this.runDir), `${JSON.stringify(this.owner)}\n`);
  }

  /**
   * Touches the file every two seconds, in its own thread because a step may take minutes. If another process took the run
   * while this machine slept, this process is killed: both would write the same files.
   */
  keep(): void {
    this.beats = new Worker(
      `const { readFileSync, utimesSync } = require('node:fs');
       const { path, token } = require('node:worker_threads').workerData;
       setInterval(() => {
         try {
           if (JSON.parse(readFileSync(path, 'utf8')).token !== token) process.kill(process.pid, 'SIGKILL');
           utimesSync(path, new Date(), new Date());
         } catch { /* the folder is gone or out of reach; others report that */ }
       }, 2000);`,
      { eval: true, workerData: { path: ownerPath(this.runDir), token: this.token } },
    );
    this.beats.unref();
  }

  async release(): Promise<void> {
    await this.beats?.terminate();
    if (readOwner(this.runDir)?.token === this.token) rmSync(ownerPath(this.runDir), { force: true });
  }
}

function taken(runDir: string, { pid, host }: Owner): InvalidArgument {
  const cure = `stop it there, or remove ${ownerPath(runDir)} if that process is no more`;
  return new InvalidArgument('run', `a run that nobody trains (${cure})`, `one of process ${pid} on ${host}`);
}

/** If two processes find the same stale file, the second must not remove the claim of the first. */
function removeStale(runDir: string, stale: Owner | undefined): void {
  const aside = `${ownerPath(runDir)}.${process.pid}.tmp`;
  try {
    renameSync(ownerPath(runDir), aside);
    const moved = JSON.parse(readFileSync(aside, 'utf8') || '{}') as Partial<Owner> | null;
    if (stale && moved?.token !== stale.token) renameSync(aside, ownerPath(runDir));
  } catch {
    // The other one was faster.
  }
  rmSync(aside, { force: true });
}

/** Opens the file, because shared file systems may show old times of files until then. */
function touched(runDir: string): number | undefined {
  return attempt(() => withFile(ownerPath(runDir), 'r', (file) => fstatSync(file).mtimeMs));
}

function ownerPath(runDir: string): string {
  return join(runDir, 'owner.json');
}
