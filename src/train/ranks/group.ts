import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { visibleGpus } from '../../compute/machine/gpus';
import { compiledFile, nodeArguments } from '../../package';
import { identify } from '../../process-identity';
import { afterSeconds } from '../../timer';
import { pinGpu, worldEnvironment } from '../collective/world';
import type { RankStatus } from '../record/status';
import type { RankMessage } from './reporter';
import { heartbeatVariable, supervisorVariable } from './signals';

type Failure = RankMessage & { readonly type: 'failed' };

/** How one life of a group ended. */
export type GroupEnd =
  | { readonly outcome: 'done' | 'stopped' }
  | ({
      readonly outcome: 'failed';
      readonly reason: string;
      /** Whether the group was killed because a rank was silent. */
      readonly silent: boolean;
      /** The rank that ended without a message, if that is the reason. */
      readonly mute: number | undefined;
    } & Pick<Failure, 'permanent' | 'portTaken'>);

interface GroupOptions {
  /** What each process runs, of `main.ts`. */
  readonly program: 'rank' | 'probe';
  readonly runDir: string;
  readonly ranks: number;
  readonly port: number;
  /** A rank counts as hung after so many seconds without a message. A long step sends none. */
  readonly silence: number;
  /** The same for heartbeats, which a thread of their own sends even in a long step. */
  readonly heartbeat: number;
  readonly onMessage: (rank: number, message: RankMessage) => void;
}

/** When a rank is gone, the others have so many seconds to notice and log it. */
const farewell = 3;

/** Variables of torchrun that a rank would read beside ours. It reads those of Slurm only where there is no RANK. */
const launcherVariables = /^TORCHELASTIC_/;

interface Member {
  readonly rank: number;
  readonly child: ChildProcess;
  /**
   * Seconds since its last message and its last heartbeat, as ticks of our own timer. A laptop that sleeps and a virtual
   * machine that pauses tick no more, so their ranks do not count as silent.
   */
  quiet: number;
  still: number;
  message?: RankMessage;
  exit?: string;
}

/** All ranks of a run: child processes in the process group of this one. */
export class RankGroup {
  readonly ended: Promise<GroupEnd>;
  private readonly gpus = visibleGpus();
  private readonly members: Member[];
  private readonly timers: (() => void)[] = [];
  /** Ranks that failed or died, in the order in which they did. */
  private readonly lost: Member[] = [];
  private silent: string | undefined;
  private hasKilled = false;
  private save: 'possible' | 'wanted' | undefined;

  constructor(private readonly options: GroupOptions) {
    this.members = Array.from({ length: options.ranks }, (_, rank) => this.start(rank));
    const ticks = setInterval(() => this.lookForSilence(), 1000);
    this.timers.push(() => clearInterval(ticks));
    this.ended = Promise.all(this.members.map((member) => this.exitOf(member))).then(() => {
      for (const end of this.timers) end();
      return this.end();
    });
  }

  /** The ranks that live. */
  get identities(): RankStatus[] {
    return this.members.flatMap(({ rank, child }) => {
      const identity = child.pid === undefined ? undefined : identify(child.pid);
      return identity ? [{ rank, ...identity }] : [];
    });
  }

  /** Asks every rank to end; kills those that still live after `grace` seconds. */
  stop(grace: number): void {
    this.signal('SIGTERM');
    this.timers.push(afterSeconds(grace, () => this.kill()));
  }

  /** Asks rank 0 to write a checkpoint after the current step. A starting rank is asked later. */
  requestSave(): void {
    if (this.save === 'possible') this.members[0]!.child.kill('SIGUSR1');
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
    const { program, runDir, ranks, port } = this.options;
    const log = openSync(join(runDir, 'logs', `rank-${rank}.log`), 'a');
    writeSync(log, `--- ${new Date().toISOString()} rank ${rank} of ${ranks} starts\n`);
    const place = { rank, worldSize: ranks, localRank: rank, localWorldSize: ranks };
    const environment = Object.entries(process.env).filter(([name]) => !launcherVariables.test(name));
    const child = spawn(
      process.execPath,
      nodeArguments(compiledFile('src', 'train', 'ranks', 'main.js'), program, '--run', runDir),
      {
        stdio: ['ignore', log, log, 'ipc', 'pipe'],
        env: {
          ...Object.fromEntries(environment),
          ...worldEnvironment({ ...place, address: '127.0.0.1', port }),
          ...pinGpu(rank, this.gpus, ranks),
          [heartbeatVariable]: '4',
          [supervisorVariable]: String(process.pid),
        },
      },
    );
    closeSync(log);
    const member: Member = { rank, child, quiet: 0, still: 0 };
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
        if (this.save === 'wanted') child.kill('SIGUSR1');
        this.save = 'possible';
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
          this.timers.push(afterSeconds(farewell, () => this.kill()));
        }
        resolve();
      };
      member.child.on('error', (error) => gone(`could not be started: ${error.message}`));
      // Unlike 'exit', 'close' comes after the last message.
      member.child.on('close', (code, signal) =>
        gone(signal ? `was ended by ${describeSignal(signal)}` : `ended with code ${code}`),
      );
    });
  }

  private lookForSilence(): void {
    const { silence, heartbeat } = this.options;
    for (const member of this.members.filter(({ exit }) => exit === undefined)) {
      member.still++;
      member.quiet++;
      const limit = member.still > heartbeat ? heartbeat : member.quiet > silence ? silence : undefined;
      if (limit) this.silent ??= `rank ${member.rank} gave no sign of life for ${limit} s`;
    }
    if (this.silent) this.kill();
  }

  private end(): GroupEnd {
    const messages = this.members.map(({ message }) => message);
    if (this.members.every(endedWell)) {
      const done = messages.every((message) => message?.type === 'ended' && message.outcome === 'done');
      return { outcome: done ? 'done' : 'stopped' };
    }
    // The others only report the consequences if a rank died without a message.
    const failures = this.lost.flatMap(({ message }) => (message?.type === 'failed' ? [message] : []));
    const first = failures.find((failure) => !failure.secondary);
    const told = this.silent ?? first?.message;
    const mute = told === undefined ? this.lost.find(({ message }) => message === undefined) : undefined;
    const reason = told ?? (mute ? `rank ${mute.rank} ${mute.exit}` : failures[0]?.message);
    return {
      outcome: 'failed',
      reason: reason ?? 'a rank failed',
      silent: this.silent !== undefined,
      mute: mute?.rank,
      permanent: first?.permanent ?? false,
      portTaken: failures.some((failure) => failure.portTaken),
    };
  }
}

/** The system sends SIGKILL when memory runs out, so the text names that cause. */
function describeSignal(signal: NodeJS.Signals): string {
  return signal === 'SIGKILL' ? 'SIGKILL: a user sent it, or the system ran out of memory' : signal;
}

function endedWell({ message }: Member): boolean {
  return message?.type === 'ended';
}
