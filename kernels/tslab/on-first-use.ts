import type { CellEngine, CellOutcome } from '../cells/engine';
import { describer } from '../cells/error';
import { CellSources } from '../cells/source';
import type { Interrupts } from '../process/interrupts';

/**
 * tslab's engine, loaded by the first cell. The kernel answers before that, and also if tslab cannot load: then each cell
 * fails with the reason.
 */
export function tslabOnFirstUse(notebookFolder: string, interrupts: Interrupts): CellEngine {
  let engine: CellEngine | undefined;
  const describe = describer(new CellSources());

  function loaded(): CellEngine {
    if (!engine) {
      const { createTslabEngine } = require('./tslab') as typeof import('./tslab');
      engine = createTslabEngine(notebookFolder, interrupts);
    }
    return engine;
  }

  async function execute(code: string, cell: number): Promise<CellOutcome> {
    try {
      return await loaded().execute(code, cell);
    } catch (error) {
      return { status: 'error', error: describe(error) };
    }
  }

  return {
    languageVersion: '5.0.4', // of tslab 1.0.22
    ready: async () => {},
    execute,
    complete: (code, position) => loaded().complete(code, position),
    inspect: (code, position) => loaded().inspect(code, position),
    isComplete: (code) => loaded().isComplete(code),
    setTypes: (mode) => loaded().setTypes(mode),
    describe: (error) => (engine ? engine.describe(error) : describe(error)),
    interrupt: () => engine?.interrupt(),
    close: () => engine?.close(),
  };
}
