import { isSystemError } from '../../atomic-file';
import { InvalidArgument, NoMemory, OutOfMemory, UnavailableBackend, UnreadableFile } from '../../errors';

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
  return kind || isSystemError(error) ? { message, kind, fields: { ...error } } : { message };
}

/** The error that a failure stands for. */
export function errorOf({ message, kind, fields }: Failure): Error {
  const error = Object.assign(new Error(message), fields);
  const known = crossing.find(({ name }) => name === kind);
  return known ? Object.setPrototypeOf(error, known.prototype) : error;
}
