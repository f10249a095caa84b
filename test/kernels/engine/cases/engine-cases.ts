import { afterAll, beforeAll } from 'vitest';
import { hook, RawKernel } from '../../raw-kernel';
import { cellsCases } from './cells';
import { errorsCases } from './errors';
import { interruptsCases } from './interrupts';
import { outputCases } from './output';

/** What every engine does with cells, over the wire, in one kernel. */
export function engineCases(engine: 'typescript' | 'tslab'): void {
  let kernel: RawKernel;
  beforeAll(async () => {
    kernel = await RawKernel.start({ PATCHWISE_ENGINE: engine });
    // Cells reach the kernel by the registered symbols of src/display-protocol.ts.
    await kernel.execute(`
    const display = ${hook('display')};
    const clearOutput = ${hook('clearOutput')};
    const input = ${hook('input')};`);
  });
  afterAll(() => kernel.stop());

  outputCases(() => kernel);
  cellsCases(() => kernel, engine);
  errorsCases(() => kernel);
  interruptsCases(() => kernel);
}
