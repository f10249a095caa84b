import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { visibleGpus } from '../compute/gpus';
import { compiledFile } from '../package';
import { identify } from '../process-identity';
import { pinGpu } from './devices';
import { heartbeatVariable } from './parent-watch';
import type { RankMessage } from './reporter';
import type { RankStatus } from './status';
import { worldEnvironment } from './world';

/** How one life of a group ended. */
export type GroupEnd =
  | { readonly outcome: 'done' | 'stopped' }
  | {
      readonly outcome: 'failed';
      readonly reason: string;
      readonly permanent: boolean;
      readonly portTaken: boolean;
    };

export interface GroupOptions {
  readonly runDir: string;
  readonly ranks: number;
  readonly port: number;
  /** Seconds without a message after which a rank counts as hung; a long step sends none. */
  readonly silence: number;
  /** The same without a heartbeat, which a thread of its own sends even in a long step. */
  readonly heartbeat: number;
  readonly onMessage: (rank: number, message: RankMessage) => void;
}

/** Time that the other ranks get to find out for themselves, and to log, that one of them is gone. */
const farewell = 3000;

interface Member {
  readonly rank: number;
  readonly child: ChildProcess;
  lastMessage: number;
  lastBeat: number;
  message: RankMessage | undefined;
  exit: string | undefined;
}

/** All ranks of a run, as child processes in this process's group. */
export class RankGroup {
  readonly ended: Promise<GroupEnd>;
  private readonly gpus = visibleGpus();
  private readonly members: Member[];
  private readonly timers: NodeJS.Timeout[] = [];
  private silent: string | undefined;

  constructor(private readonly options: GroupOptions) {
    this.members = Array.from({ length: options.ranks }, (_, rank) => this.start(rank));
    const exits = this.members.map((member) => this.exitOf(member));
    this.timers.push(setInterval(() => this.lookForSilence(), 1000));
    this.ended = Promise.all(exits).then(() => {
      for (const timer of this.timers) clearTimeout(timer);
      return this.verdict();
    });
  }

  /** Pids with start times of the ranks that live. */
  get identities(): RankStatus[] {
    return this.members.flatMap(({ rank, child }) => {
      const identity = child.pid === undefined ? undefined : identify(child.pid);
      return identity ? [{ rank, ...identity }] : [];
    });
  }

  /** Asks every rank to end in good order, and kills those that have not after `grace` seconds. */
  stop(grace: number): void {
    this.signal('SIGTERM');
    this.timers.push(setTimeout(() => this.signal('SIGKILL'), grace * 1000));
  }

  signal(signal: NodeJS.Signals): void {
    for (const { child, exit } of this.members) if (exit === undefined) child.kill(signal);
  }

  private start(rank: number): Member {
    const { runDir, ranks, port } = this.options;
    const log = openSync(join(runDir, 'logs', `rank-${rank}.log`), 'a');
    writeSync(log, `--- ${new Date().toISOString()} rank ${rank} of ${ranks} starts\n`);
    const place = { rank, worldSize: ranks, localRank: rank, localWorldSize: ranks };
    const world = { ...place, address: '127.0.0.1', port };
    const child = spawn(
      process.execPath,
      [compiledFile('src', 'train', 'process.js'), 'rank', '--run', runDir],
      {
        stdio: ['ignore', log, log, 'ipc', 'pipe'],
        env: {
          ...process.env,
          ...worldEnvironment(world),
          ...pinGpu(rank, this.gpus, ranks),
          [heartbeatVariable]: '4',
        },
      },
    );
    closeSync(log);
    const now = Date.now();
    const member: Member = {
      rank,
      child,
      lastMessage: now,
      lastBeat: now,
      message: undefined,
      exit: undefined,
    };
    const beats = child.stdio[4] as Readable | null | undefined;
    beats?.on('data', () => {
      member.lastBeat = Date.now();
    });
    beats?.on('error', () => {});
    child.on('message', (message: RankMessage) => {
      member.lastMessage = Date.now();
      if (message.type === 'ended' || message.type === 'failed') member.message = message;
      this.options.onMessage(rank, message);
    });
    return member;
  }

  private exitOf(member: Member): Promise<void> {
    return new Promise((resolve) => {
      const gone = (how: string) => {
        if (member.exit !== undefined) return;
        member.exit = how;
        // The others cannot go on without it.
        if (!endedWell(member)) this.timers.push(setTimeout(() => this.signal('SIGKILL'), farewell));
        resolve();
      };
      member.child.on('error', (error) => gone(`could not be started: ${error.message}`));
      // 'close' comes after the last message has been read, 'exit' may not.
      member.child.on('close', (code, signal) =>
        gone(signal ? `was ended by ${describeSignal(signal)}` : `ended with code ${code}`),
      );
    });
  }

  private lookForSilence(): void {
    if (this.silent) return;
    const { silence, heartbeat } = this.options;
    const now = Date.now();
    for (const { rank, lastMessage, lastBeat, exit } of this.members) {
      if (exit !== undefined) continue;
      const limit = now - lastBeat > heartbeat * 1000 ? heartbeat : silence;
      if (limit === silence && now - lastMessage <= silence * 1000) continue;
      this.silent = `rank ${rank} gave no sign of life for ${limit} s`;
      this.signal('SIGKILL');
      return;
    }
  }

  private verdict(): GroupEnd {
    if (this.members.every(endedWell)) {
      const done = this.members.every(
        ({ message }) => message?.type === 'ended' && message.outcome === 'done',
      );
      return { outcome: done ? 'done' : 'stopped' };
    }
    const failures = this.members.flatMap(({ message }) => (message?.type === 'failed' ? [message] : []));
    const first = failures.find((failure) => !failure.secondary);
    // A rank that died without a word is the cause of what the others say.
    const mute = this.members.find((member) => member.message === undefined && !endedWell(member));
    const reason =
      this.silent ?? first?.message ?? (mute ? `rank ${mute.rank} ${mute.exit}` : failures[0]?.message);
    return {
      outcome: 'failed',
      reason: reason ?? 'a rank failed',
      permanent: first?.permanent ?? false,
      portTaken: failures.some((failure) => failure.portTaken),
    };
  }
}

/** A rank that grows too large is killed by the system, which says so nowhere that a user looks. */
function describeSignal(signal: NodeJS.Signals): string {
  return signal === 'SIGKILL' ? 'SIGKILL, by somebody or by the system for want of memory' : signal;
}

function endedWell({ message }: Member): boolean {
  return message?.type === 'ended';
}
