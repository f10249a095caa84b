/** What runs cells. The server knows this interface alone; tslab.ts implements it. */

/** A failed cell, ready for an `error` message: the traceback's positions are those of the cells' own lines. */
export interface CellError {
  readonly ename: string;
  readonly evalue: string;
  readonly traceback: readonly string[];
}

/** How a cell ended. `value` is the value of its last expression, undefined where there is none to show. */
export type CellOutcome =
  | { readonly status: 'ok'; readonly value: unknown }
  | { readonly status: 'error'; readonly error: CellError };

export interface Completion {
  /** What [start, end) may be replaced by, best first. */
  readonly matches: readonly string[];
  /** The kind of each match ("method", "const", ...), in the order of `matches`. */
  readonly kinds: readonly string[];
  readonly start: number;
  readonly end: number;
}

export interface Inspection {
  /** The signature, as TypeScript prints it. */
  readonly signature: string;
  /** The doc comment, as markdown; may be empty. */
  readonly documentation: string;
}

export type Completeness =
  | { readonly status: 'complete' | 'invalid' }
  | { readonly status: 'incomplete'; readonly indent: string };

/** Positions are UTF-16 offsets into `code`. Nothing here is called while the engine is closed. */
export interface CellEngine {
  /** Does ahead of the first cell what would make it wait; blocks meanwhile. */
  prepare(): void;
  /** Compiles and runs `code` as cell number `cell`, resolving once its top-level awaits have; never rejects. */
  execute(code: string, cell: number): Promise<CellOutcome>;
  complete(code: string, position: number): Completion;
  inspect(code: string, position: number): Inspection | undefined;
  isComplete(code: string): Completeness;
  /** Ends the top-level await of the running cell with an error; what it started goes on. */
  interrupt(): void;
  /** The error of code that a cell left running, with the cells' own lines in its traceback. */
  describe(error: unknown): CellError;
  close(): void;
}
