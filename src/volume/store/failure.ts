import { isSystemError } from '../../atomic-file';
import { InvalidArgument, NoMemory, UnreadableFile } from '../../errors';

/** An error as it crosses between threads, which would else lose its class and all but its message. */
export interface Failure {
  readonly message: string;
  readonly unreadable?: Pick<UnreadableFile, 'path' | 'expected' | 'received'>;
  readonly argument?: Pick<InvalidArgument, 'argument' | 'expected' | 'received' | 'allowed'>;
  readonly memory?: Pick<NoMemory, 'path' | 'bytes'>;
  readonly system?: Pick<NodeJS.ErrnoException, 'code' | 'errno' | 'syscall' | 'path'>;
}

export function failureOf(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UnreadableFile) {
    const { path, expected, received } = error;
    return { message, unreadable: { path, expected, received } };
  }
  if (error instanceof InvalidArgument) {
    const { argument, expected, received, allowed } = error;
    return { message, argument: { argument, expected, received, ...(allowed && { allowed }) } };
  }
  if (error instanceof NoMemory) return { message, memory: { path: error.path, bytes: error.bytes } };
  if (isSystemError(error)) {
    const { code, errno, syscall, path } = error;
    return { message, system: { code, errno, syscall, path } };
  }
  return { message };
}

/** The error that a failure was in its own thread. */
export function errorOf({ message, unreadable, argument, memory, system }: Failure): Error {
  if (unreadable) return new UnreadableFile(unreadable.path, unreadable.expected, unreadable.received);
  if (argument)
    return new InvalidArgument(argument.argument, argument.expected, argument.received, argument.allowed);
  if (memory) return new NoMemory(memory.path, memory.bytes);
  return Object.assign(new Error(message), system);
}
