import { CommanderError } from 'commander';
import { isPatchwiseError } from '../index';

/** What the exit code of every command says, for its help. */
export const exitCodes = `Exit codes:
  0  done; what is left out of a folder is named
  1  the work failed or was stopped, or a path that you gave is left out; what is done is kept
  2  wrong usage; nothing is done`;

export function exitCodeOf(error: unknown): 0 | 1 | 2 {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const wrongUsage = isPatchwiseError(error, 'InvalidArgument') || isPatchwiseError(error, 'InvalidConfig');
  return wrongUsage ? 2 : 1;
}

/**
 * The text of a failure: one line, with the cure if the cause lies outside our code, and a stack only for a fault of
 * ours. Undefined if commander has already printed the line.
 */
export function tellFailure(error: unknown): string | undefined {
  if (error instanceof CommanderError) return undefined;
  if (isPatchwiseError(error)) return error.message;
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'AbortError') return 'stopped';
  const told = tellSystemError(error);
  if (told !== undefined) return told;
  const stack = error.stack ?? String(error);
  return `this is a fault of Patchwise itself. Please report it with these lines:\n${stack}`;
}

/** What the system's error codes mean, and what a person can do. */
const systemErrors: Readonly<Record<string, readonly [meaning: string, cure: string]>> = {
  ENOSPC: ['the disk is full', 'Free some space, then run the same command again.'],
  EDQUOT: ['your disk quota is used up', 'Free some space, then run the same command again.'],
  EFBIG: [
    'the file grows larger than this disk or `ulimit -f` allows',
    'Choose another disk or raise the limit.',
  ],
  EROFS: ['the disk is read-only', 'Choose a place that can be written.'],
  EACCES: ['permission denied', 'Choose another place, or ask its owner for access.'],
  EPERM: ['permission denied', 'Choose another place, or ask its owner for access.'],
  ENAMETOOLONG: ['the name is too long', 'Shorten it: a name holds 255 bytes, a whole path 4,095.'],
  ENOENT: ['no such file or folder', 'Check the spelling, and from which folder you run the command.'],
  ENOTDIR: ['a file stands where a folder is needed', 'Choose another path.'],
  EISDIR: ['a folder stands where a file is needed', 'Choose another path.'],
  EEXIST: ['something is there already', 'Choose another path, or remove it first.'],
  ENOTEMPTY: ['the folder is not empty', 'Choose another path, or empty it first.'],
  ELOOP: ['the links lead in a circle', 'Mend the links.'],
  EMFILE: ['too many files are open', 'Raise the limit with `ulimit -n 65536`.'],
  ENFILE: ['too many files are open on this machine', 'End other programs, then try again.'],
  EIO: ['the disk reports an error', 'Check the disk; copy what can still be read.'],
  ESTALE: ['the network disk has lost the file', 'Check the mount, then try again.'],
  EBUSY: ['another program uses it', 'End that program, then try again.'],
  ENOMEM: ['the machine has no memory left', 'Use smaller patches or fewer processes.'],
  EADDRINUSE: ['another program uses the port', 'Choose another port, or end that program.'],
  EADDRNOTAVAIL: ['this machine does not have the address', 'Give an address of this machine.'],
  ECONNREFUSED: ['nothing answers there', 'Check the address and that the other program runs.'],
  ECONNRESET: ['the other side closed the connection', 'Look at its log, then try again.'],
  ETIMEDOUT: ['no answer came in time', 'Check the network, then try again.'],
  EHOSTUNREACH: ['the host cannot be reached', 'Check the address and the network.'],
  ENOTFOUND: ['no host has this name', 'Check the spelling of the host.'],
  EAGAIN: [
    'the machine has no room for another process',
    'Raise the limit with `ulimit -u`, or use fewer ranks.',
  ],
};

/** An error of the operating system, or one that it caused, in one line; undefined for any other error. */
function tellSystemError(error: Error): string | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 10; at = at.cause, depth++) {
    const { code, syscall, path, dest, address, port } = at as NodeJS.ErrnoException & {
      dest?: string;
      address?: string;
      port?: number;
    };
    if (typeof code !== 'string' || syscall === undefined) continue;
    const where = path ?? dest ?? (port === undefined ? address : `${address ?? ''}:${port}`);
    const place = where === undefined ? '' : `${where}: `;
    const [meaning, cure] = systemErrors[code] ?? [at.message.split('\n')[0]!, ''];
    return `${place}${meaning} (${code}, ${syscall}). ${cure}`.trimEnd();
  }
  return undefined;
}
