import { nearest } from './spelling';

/**
 * The errors of Patchwise. Each is a tagged class. It names what was expected and received, and lists the allowed values
 * if there are few. Catch them with `isPatchwiseError(error, 'InvalidArgument')`.
 */
export abstract class PatchwiseError extends Error {
  /** The name of its class; a subclass keeps it. */
  abstract readonly tag: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** True for any error of Patchwise, or with a tag for that error only. */
export function isPatchwiseError(error: unknown, tag?: string): error is PatchwiseError {
  return error instanceof PatchwiseError && (tag === undefined || error.tag === tag);
}

/** The result of `work`; undefined if it throws. */
export function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** An argument has a value that cannot be used. */
export class InvalidArgument extends PatchwiseError {
  readonly tag = 'InvalidArgument';

  constructor(
    readonly argument: string,
    readonly expected: string,
    readonly received: unknown,
    readonly allowed?: readonly unknown[],
  ) {
    super(`${argument}: ${mismatch({ expected, received, allowed })}`);
  }
}

/** A file is missing, damaged or of another kind. */
export class UnreadableFile extends PatchwiseError {
  readonly tag = 'UnreadableFile';

  constructor(
    readonly path: string,
    readonly expected: string,
    readonly received: string,
    options?: ErrorOptions,
  ) {
    super(`${path}: expected ${expected}, found ${received}`, options);
  }
}

/** The machine lacks memory for a volume. The file itself may be sound. */
export class NoMemory extends PatchwiseError {
  readonly tag = 'NoMemory';

  constructor(
    readonly path: string,
    /** The requested size; 0 if unknown. */
    readonly bytes: number,
    options?: ErrorOptions,
  ) {
    const size = bytes > 0 ? `${Math.ceil(bytes / 2 ** 20)} MiB of voxels` : 'its voxels';
    super(`${path}: no memory for ${size}; end other programs, or work with fewer threads`, options);
  }
}

/** A tensor backend that the user chose by name is not available on this machine. */
export class UnavailableBackend extends PatchwiseError {
  readonly tag = 'UnavailableBackend';

  constructor(
    readonly backend: string,
    readonly reason: string,
    readonly cure: string,
    options?: ErrorOptions,
  ) {
    super(`backend ${backend} is not available: ${reason}. ${cure}`, options);
  }
}

/** An optional package is needed and not installed. */
export class UnavailablePackage extends PatchwiseError {
  readonly tag = 'UnavailablePackage';

  constructor(
    readonly pack: string,
    readonly purpose: string,
    readonly cure: string,
    options?: ErrorOptions,
  ) {
    super(`${purpose} need the package ${pack}, which is not installed: ${cure}`, options);
  }
}

/** A tensor does not fit its backend's memory. */
export class OutOfMemory extends PatchwiseError {
  readonly tag = 'OutOfMemory';

  constructor(
    readonly backend: string,
    /** The requested size; 0 if unknown. */
    readonly bytes: number,
    /** The backend's whole memory; 0 if unknown. */
    readonly limit: number,
    options?: ErrorOptions,
  ) {
    const megabytes = (size: number) => `${Math.ceil(size / 2 ** 20)} MiB`;
    const room = bytes > 0 ? `room for ${megabytes(bytes)} more` : 'room left';
    const all = limit > 0 ? ` (its limit is ${megabytes(limit)} in all)` : '';
    super(`backend ${backend} has no ${room}${all}; use a smaller patch or batch`, options);
  }
}

/** A collective operation failed on all ranks because one of them died, disagreed or was too late. */
export class CollectiveFailed extends PatchwiseError {
  readonly tag = 'CollectiveFailed';

  constructor(
    readonly rank: number,
    readonly operation: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`rank ${rank}: ${operation} failed: ${reason}`, options);
  }
}

/** A training run ended before its last step. */
export class RunFailed extends PatchwiseError {
  readonly tag = 'RunFailed';

  constructor(
    readonly run: string,
    readonly state: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`run ${run} ${state}: ${reason}`, options);
  }
}

/** A notebook stopped at a cell that failed, took too long or was aborted. The file at `path` has the results so far. */
export class NotebookFailed extends PatchwiseError {
  readonly tag = 'NotebookFailed';

  constructor(
    readonly path: string,
    /** Code cells count from 1. */
    readonly cell: number,
    readonly reason: string,
    /** The kernel's traceback, with line numbers of the cell; may be empty. */
    readonly traceback: readonly string[],
    options?: ErrorOptions,
  ) {
    super(`${path}: code cell ${cell}: ${reason}`, options);
  }
}

/** One problem of a config: the key as a dotted path, the expected and the received value. */
export interface ConfigProblem {
  readonly key: string;
  readonly expected: string;
  readonly received: unknown;
  readonly allowed?: readonly unknown[];
}

/** A training config cannot be used. `problems` lists everything that is wrong with it. */
export class InvalidConfig extends PatchwiseError {
  readonly tag = 'InvalidConfig';

  /** @param where text before every key, such as the file */
  constructor(
    readonly problems: readonly ConfigProblem[],
    where = 'setting ',
  ) {
    super(problems.map((problem) => `${where}${problem.key}: ${mismatch(problem)}`).join('\n'));
  }
}

/** A longer list of allowed values would hide the suggestion. */
const FEW = 12;

/** The expected and the received value, and the allowed value that the user probably meant. */
function mismatch({ expected, received, allowed = [] }: Omit<ConfigProblem, 'key'>): string {
  const names = allowed.map(String);
  const meant = typeof received === 'string' ? nearest(received, names) : undefined;
  const guess = meant === undefined ? '' : `; did you mean ${meant}?`;
  const list = names.length === 0 || (meant !== undefined && names.length > FEW) ? '' : names.join(', ');
  const choices = list === '' ? guess : `${guess || ';'} ${guess ? 'Allowed' : 'allowed'}: ${list}`;
  return `expected ${expected}, received ${print(received)}${choices}`;
}

function print(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(print).join(', ')}]`;
  if (typeof value === 'object' && value !== null) return value.constructor?.name ?? 'object';
  return String(value);
}
