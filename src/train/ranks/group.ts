import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { visibleGpus } from '../../compute/machine/gpus';
import { compiledFile, nodeArguments } from '../../package';
import { identify } from '../../process-identity';
import { afterSeconds } from '../../timer';
import { pinGpu } from '../collective/devices';
import { worldEnvironment } from '../collective/world';
import type { RankStatus } from '../record/status';
import { heartbeatVariable, supervisorVariable } from './parent-watch';
import type { RankMessage } from './reporter';

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

/** Seconds that the other ranks get to find out for themselves, and to log, that one of them is gone. */
const farewell = 3;

interface Member {
  readonly rank: number;
  readonly child: ChildProcess;
  /**
   * Seconds since its last message, and since its last heartbeat, as ticks of this process's timer. While a laptop
   * sleeps or a virtual machine is paused there are no ticks, so no rank counts as silent for that time.
   */
  quiet: number;
  still: number;
  message: RankMessage | undefined;
  exit: string | undefined;
}

/** All ranks of a run, as child processes in this process's group. */
export class RankGroup {
  readonly ended: Promise<GroupEnd>;
  private readonly gpus = visibleGpus();
  private readonly members: Member[];
  private readonly timers: (() => void)[] = [];
  /** Those that have failed or are gone, the first one first. */
  private readonly lost: Member[] = [];
  private silent: string | undefined;
  private hasKilled = false;
  private save: 'possible' | 'wanted' | undefined;

  constructor(private readonly options: GroupOptions) {
    this.members = Array.from({ length: options.ranks }, (_, rank) => this.start(rank));
    const exits = this.members.map((member) => this.exitOf(member));
    const ticks = setInterval(() => this.lookForSilence(), 1000);
    this.timers.push(() => clearInterval(ticks));
    this.ended = Promise.all(exits).then(() => {
      for (const end of this.timers) end();
      return this.end();
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
    this.timers.push(afterSeconds(grace, () => this.kill()));
  }

  /** Asks for a checkpoint at the end of the step under way. All ranks leave it, whichever is asked. */
  requestSave(): void {
    if (this.save === 'possible') this.members[0]!.child.kill('SIGUSR1');
    // A rank that is still starting would not understand.
    else this.save = 'wanted';
  }

  private kill(): void {
    this.hasKilled = true;
    this.signal('SIGKILL');
  }

  private signal(signal: NodeJS.Signals): void {
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
      nodeArguments(compiledFile('src', 'train', 'ranks', 'main.js'), 'rank', '--run', runDir),
      {
        stdio: ['ignore', log, log, 'ipc', 'pipe'],
        env: {
          ...process.env,
          ...worldEnvironment(world),
          ...pinGpu(rank, this.gpus, ranks),
          [heartbeatVariable]: '4',
          [supervisorVariable]: String(process.pid),
        },
      },
    );
    closeSync(log);
    const member: Member = { rank, child, quiet: 0, still: 0, message: undefined, exit: undefined };
    const beats = child.stdio[4] as Readable | null | undefined;
    beats?.on('data', () => {
      member.still = 0;
    });
    beats?.on('error', () => {});
    child.on('message', (message: RankMessage) => {
      member.quiet = 0;
      if (message.type === 'ended' || message.type === 'failed') member.message = message;
      if (message.type === 'failed') this.lost.push(member);
      if (message.type === 'ready' && rank === 0) {
        const wanted = this.save === 'wanted';
        this.save = 'possible';
        if (wanted) this.requestSave();
      }
      this.options.onMessage(rank, message);
    });
    return member;
  }

  private exitOf(member: Member): Promise<void> {
    return new Promise((resolve) => {
      const gone = (how: string) => {
        if (member.exit !== undefined) return;
        member.exit = how;
        if (!endedWell(member)) {
          if (member.message === undefined && !this.hasKilled) this.lost.push(member);
          // The others cannot go on without it.
          this.timers.push(afterSeconds(farewell, () => this.kill()));
        }
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
    for (const member of this.members) {
      if (member.exit !== undefined) continue;
      member.still++;
      member.quiet++;
      const limit = member.still > heartbeat ? heartbeat : silence;
      if (limit === silence && member.quiet <= silence) continue;
      this.silent ??= `rank ${member.rank} gave no sign of life for ${limit} s`;
    }
    if (this.silent) this.kill();
  }

  private end(): GroupEnd {
    if (this.members.every(endedWell)) {
      const done = this.members.every(
        ({ message }) => message?.type === 'ended' && message.outcome === 'done',
      );
      return { outcome: done ? 'done' : 'stopped' };
    }
    // A rank that died without a word is the cause of what the others say. The first one is, whatever its number.
    const mute = this.lost.find(({ message }) => message === undefined);
    const failures = this.lost.flatMap(({ message }) => (message?.type === 'failed' ? [message] : []));
    const first = failures.find((failure) => !failure.secondary);
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

/** Where memory runs out the system kills a rank without a word: the text must name that cause. */
function describeSignal(signal: NodeJS.Signals): string {
  return signal === 'SIGKILL' ? 'SIGKILL: a user sent it, or the system ran out of memory' : signal;
}

function endedWell({ message }: Member): boolean {
  return message?.type === 'ended';
}
