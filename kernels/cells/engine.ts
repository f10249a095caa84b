/** What runs cells. The server knows this interface alone; engine/typescript.ts and tslab/tslab.ts implement it. */

/** A failed cell, ready for an `error` message: the traceback's positions are those of the cells' own lines. */
export interface CellError {
  readonly ename: string;
  readonly evalue: string;
  readonly traceback: readonly string[];
}

/** How a cell ended. `value` is the value of its last expression, undefined if there is none to show. */
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

/**
 * What a type error does. `error`: its cell does not run, once the types are loaded. `strict`: the same, and every cell
 * waits until they are. `warn`: the cell runs and is told of it. `off`: nothing.
 */
export type TypeMode = 'error' | 'strict' | 'warn' | 'off';
export const TYPE_MODES: readonly TypeMode[] = ['error', 'strict', 'warn', 'off'];

/** Positions are UTF-16 offsets into `code`. Nothing here is called while the engine is closed. */
export interface CellEngine {
  /** The version of TypeScript that cells are written in. */
  readonly languageVersion: string;
  /** Resolves once a cell can be compiled, soon after the start. */
  ready(): Promise<void>;
  /**
   * Compiles and runs `code` as cell number `cell`, resolving once its top-level awaits have; never rejects. 0 stands for
   * code that has no number: a silent cell, a user expression.
   */
  execute(code: string, cell: number): Promise<CellOutcome>;
  complete(code: string, position: number): Completion | Promise<Completion>;
  inspect(code: string, position: number): Inspection | undefined | Promise<Inspection | undefined>;
  isComplete(code: string): Completeness | Promise<Completeness>;
  setTypes(mode: TypeMode): void;
  /** Ends the engine's own waits, which `Interrupts` does not know. */
  interrupt(): void;
  /** The error of code that a cell left running, with the cells' own lines in its traceback. Never throws. */
  describe(error: unknown): CellError;
  close(): void;
}
