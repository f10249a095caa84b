import { isSystemError } from '../../atomic-file';
import { InvalidArgument, NoMemory, OutOfMemory, UnavailableBackend, UnreadableFile } from '../../errors';
import { errorOfLoading, isOutOfMemory } from './fault';

/** Our errors that keep their class and fields between threads. */
const crossing = [UnreadableFile, InvalidArgument, NoMemory, OutOfMemory, UnavailableBackend];

/** An error on its way between threads. The error itself would arrive without its class and its fields. */
export interface Failure {
  readonly message: string;
  /** The name of its class, if it is one of `crossing`. */
  readonly kind?: string;
  readonly fields?: object;
}

export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message } = error;
  const kind = crossing.find((known) => error instanceof known)?.name;
  const hasFields = kind !== undefined || isSystemError(error) || isOutOfMemory(error);
  return hasFields ? { message, kind, fields: { ...error } } : { message };
}

/** The error that a failure stands for. */
export function errorOf({ message, kind, fields }: Failure): Error {
  const error = Object.assign(new Error(message), fields);
  const known = crossing.find(({ name }) => name === kind);
  return known ? Object.setPrototypeOf(error, known.prototype) : error;
}

/**
 * The error of a thread that died. If the system let it not start, only a text tells so: the error gets back its code,
 * call and path.
 */
export function errorOfThread(thrown: unknown): Error {
  const error = errorOfLoading(thrown);
  if (!(error instanceof Error)) return new Error(String(error));
  const [, code, syscall = 'thread', path] =
    /(?:^|: )(E[A-Z]{3,})(?:: .*?, (\w+)(?: '(.*)')?)?$/.exec(error.message) ?? [];
  if (code === undefined || isSystemError(error)) return error;
  return Object.assign(new Error(error.message, { cause: error }), { code, syscall, ...(path && { path }) });
}
