/**
 * The threads of the TypeScript engine. One compiles from the start; the checker's takes a second or two to load, knows
 * the types and can compile too: once it is there the first one goes, and its memory with it.
 */
import { join } from 'node:path';
import type { PlacedMessage } from '../cells/compile';
import { ThreadClient } from '../process/thread-client';
import type { CellText, CheckedCell, CheckerCalls } from './checker-thread';
import type { CellSourceText, compilerCalls } from './compiler';

type CompilerCalls = typeof compilerCalls;
type Compiler = Pick<ThreadClient<CompilerCalls>, 'ask' | 'tell' | 'retire' | 'close'>;
type Checker = ThreadClient<CheckerCalls>;

export class TypescriptThreads {
  #compiler: Compiler = newCompiler();
  #checker: Checker | undefined;
  #isReady = false;
  /** Messages for the checker that comes later: cells in their order. */
  readonly #backlog: ((checker: Checker) => void)[] = [];

  /** What cells have declared, for a compiler that comes later. */
  readonly #names: Set<string>;

  /**
   * @param folder the notebook's
   * @param names what cells know from the start
   */
  constructor(
    private readonly folder: string,
    names: readonly string[],
  ) {
    this.#compiler.tell('names', names);
    this.#names = new Set(names);
  }

  /** The types are loaded. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** The thread that compiles now. */
  get compiler(): Pick<Compiler, 'ask'> {
    return this.#compiler;
  }

  async compile(cell: CellSourceText): Promise<CheckedCell> {
    return { compiled: await this.#compiler.ask('cell', cell), errors: [] };
  }

  /** A cell that is to run only without type errors: held up until the types are loaded. */
  compileChecked(cell: CellText & CellSourceText): Promise<CheckedCell> {
    const checked = this.wake().ask('checkedCell', cell);
    return checked.catch(() => this.compile(cell));
  }

  /** The type errors of a cell, once somebody has woken the checker. */
  check(cell: CellText): Promise<PlacedMessage[]> {
    return new Promise((resolve, reject) => {
      this.#tell((checker) => checker.ask('check', cell).then(resolve, reject));
    });
  }

  /** The cell has run and has given these names to later ones. */
  given(cell: string, names: readonly string[]): void {
    for (const name of names) this.#names.add(name);
    if (this.#compiler !== this.#checker) this.#compiler.tell('names', names);
    this.#tell((checker) => checker.tell('given', { cell, names }));
  }

  /** The checker's thread, which starts now if it has not yet. */
  readonly wake = (): Checker => {
    if (this.#checker) return this.#checker;
    const path = join(__dirname, 'checker-thread.js');
    const data = { use: 'checker', folder: this.folder };
    const checker: Checker = new ThreadClient(path, data, () => this.#lost());
    this.#checker = checker;
    const takeOver = (): void => {
      this.#isReady = true;
      this.#compiler.retire();
      this.#compiler = checker;
    };
    checker.tell('names', [...this.#names]);
    checker.ask('prepare', undefined).then(takeOver, () => {});
    for (const message of this.#backlog.splice(0)) message(checker);
    return checker;
  };

  close(): void {
    this.#isReady = false;
    this.#compiler.close();
    this.#checker?.close();
  }

  /** The checker's thread has ended: cells run without their types. */
  #lost(): void {
    if (!this.#isReady) return;
    this.#isReady = false;
    this.#compiler = newCompiler();
    this.#compiler.tell('names', [...this.#names]);
  }

  #tell(message: (checker: Checker) => void): void {
    if (this.#checker) message(this.#checker);
    else this.#backlog.push(message);
  }
}

function newCompiler(): Compiler {
  return new ThreadClient<CompilerCalls>(join(__dirname, 'compiler-thread.js'), { use: 'compiler' });
}
