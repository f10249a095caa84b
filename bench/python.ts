import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * The first of PATCHWISE_PYTHON, .venv/bin/python and python3 that can import all `modules`. Undefined if none can.
 */
export async function findPython(modules: readonly string[]): Promise<string | undefined> {
  const candidates = [process.env.PATCHWISE_PYTHON, '.venv/bin/python', 'python3'];
  for (const python of candidates) {
    if (!python) continue;
    const found = await run(python, ['-c', `import ${modules.join(', ')}`]).then(
      () => true,
      () => false,
    );
    if (found) return python;
  }
  return undefined;
}
