/** An engine that is made when it is first needed: the kernel answers "who are you" before its compiler has loaded. */
import type { CellEngine } from '../cells/engine';

export function lazyEngine(languageVersion: string, create: () => CellEngine): CellEngine {
  let engine: CellEngine | undefined;
  const made = (): CellEngine => {
    engine ??= create();
    return engine;
  };
  return {
    languageVersion,
    ready: async () => {},
    prepare: () => void made(),
    execute: (code, cell) => made().execute(code, cell),
    complete: (code, position) => made().complete(code, position),
    inspect: (code, position) => made().inspect(code, position),
    isComplete: (code) => made().isComplete(code),
    setTypes: (mode) => made().setTypes(mode),
    describe: (error) => made().describe(error),
    interrupt: () => engine?.interrupt(),
    close: () => engine?.close(),
  };
}
