import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { attempt } from './errors';

/** A process that cannot be mistaken for a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started: clock ticks since boot on Linux, a date elsewhere. */
  readonly started: string;
}

/** The identity of a living process; undefined if no process has this pid. A zombie counts as dead. */
export function identify(pid: number): ProcessIdentity | undefined {
  const started = process.platform === 'linux' ? startFromProc(pid) : startFromPs(pid);
  return started === undefined ? undefined : { pid, started };
}

/** True while this process lives, false once its pid is free or belongs to another process. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.started === identity.started;
}

/**
 * Signals this process, or with `group` its whole process group. For the first process of a container it always signals
 * the process only, because -1 stands for every process.
 */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals, group = false): boolean {
  if (!isAlive(identity)) return false;
  const pid = group && identity.pid > 1 ? -identity.pid : identity.pid;
  return attempt(() => process.kill(pid, signal)) ?? false; // It throws if the process has ended in between.
}

/**
 * Identifies the machine, its boot and the container, within which a process id is unique. Host names do not: containers
 * share their machine's, and a laptop changes its own.
 */
export function thisMachine(): string {
  const boot = attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  const container = attempt(() => readlinkSync('/proc/self/ns/pid'));
  return boot === undefined || container === undefined ? hostname() : `${boot} ${container}`;
}

function startFromProc(pid: number): string | undefined {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? '';
  // The name (field 2) is in brackets and may itself hold blanks and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, started] = [fields[0], fields[22 - 3]];
  return state === 'Z' || state === 'X' ? undefined : started;
}

function startFromPs(pid: number): string | undefined {
  const args = ['-o', 'state=,lstart=', '-p', String(pid)];
  const found = attempt(() => execFileSync('ps', args, { encoding: 'utf8' })) ?? '';
  const [state, ...started] = found.trim().split(/\s+/);
  return !state || state.startsWith('Z') ? undefined : started.join(' ');
}
