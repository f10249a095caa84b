import { nearest } from './spelling';

/**
 * The errors of Patchwise. Each is a tagged class that says what was expected, what came and, where the choice
 * is closed, what is allowed. Catch them with `isPatchwiseError(error, 'InvalidArgument')`.
 */
export abstract class PatchwiseError extends Error {
  abstract readonly tag: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** True for an error of ours; with a tag, for that error alone. */
export function isPatchwiseError(error: unknown, tag?: string): error is PatchwiseError {
  return error instanceof PatchwiseError && (tag === undefined || error.tag === tag);
}

/** A value a caller passed cannot be used. */
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

/** A file is not what its name or its place says it is. */
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

/** The machine has no memory for a volume now. Nothing is wrong with the file. */
export class NoMemory extends PatchwiseError {
  readonly tag = 'NoMemory';

  constructor(
    readonly path: string,
    /** What was asked for; 0 if that is not known. */
    readonly bytes: number,
    options?: ErrorOptions,
  ) {
    const size = bytes > 0 ? `${Math.ceil(bytes / 2 ** 20)} MiB of voxels` : 'its voxels';
    super(`${path}: no memory for ${size}; end other programs, or work with fewer threads`, options);
  }
}

/** A tensor backend asked for by name cannot be had on this machine. */
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

/** A package that may be left out of the installation is needed and not there. */
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

/** A tensor does not fit what its backend can hold. */
export class OutOfMemory extends PatchwiseError {
  readonly tag = 'OutOfMemory';

  constructor(
    readonly backend: string,
    /** What was asked for; 0 where it is not known. */
    readonly bytes: number,
    /** What there is in all; 0 where it is not known. */
    readonly limit: number,
    options?: ErrorOptions,
  ) {
    const megabytes = (size: number) => `${Math.ceil(size / 2 ** 20)} MiB`;
    const room = bytes > 0 ? `room for ${megabytes(bytes)} more` : 'room left';
    const all = limit > 0 ? ` (its limit is ${megabytes(limit)} in all)` : '';
    super(`backend ${backend} has no ${room}${all}; use a smaller patch or batch`, options);
  }
}

/** A collective operation ended on every rank because one of them died, disagreed or was too late. */
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

/** A training run ended without being done. */
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

/** A notebook stopped at a cell that failed, took too long or was aborted; what had run is in `path`. */
export class NotebookFailed extends PatchwiseError {
  readonly tag = 'NotebookFailed';

  constructor(
    readonly path: string,
    /** Code cells count from 1. */
    readonly cell: number,
    readonly reason: string,
    /** As the kernel sent it, with the cell's own line numbers; may be empty. */
    readonly traceback: readonly string[],
    options?: ErrorOptions,
  ) {
    super(`${path}: code cell ${cell}: ${reason}`, options);
  }
}

/** One thing wrong with a config: the key as a dotted path, what it takes, what came. */
export interface ConfigProblem {
  readonly key: string;
  readonly expected: string;
  readonly received: unknown;
  readonly allowed?: readonly unknown[];
}

/** A training config cannot be used; `problems` lists everything that is wrong with it, not the first thing alone. */
export class InvalidConfig extends PatchwiseError {
  readonly tag = 'InvalidConfig';

  /** @param where stands before every key: the file, where it is known */
  constructor(
    readonly problems: readonly ConfigProblem[],
    where = 'setting ',
  ) {
    super(problems.map((problem) => `${where}${problem.key}: ${mismatch(problem)}`).join('\n'));
  }
}

/** Above this a list of all that is allowed hides the word that was meant. */
const FEW = 12;

/** What was expected, what came, and which of the allowed values was probably meant. */
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
