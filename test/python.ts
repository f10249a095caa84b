import { spawnSync } from 'node:child_process';

/** A Python that imports all modules: PATCHWISE_PYTHON, .venv/bin/python, python3 or /usr/bin/python3. Says so where there is none. */
export function pythonWith(...modules: string[]): string | undefined {
  const candidates = [process.env.PATCHWISE_PYTHON, '.venv/bin/python', 'python3', '/usr/bin/python3'];
  const python = candidates.find(
    (candidate) =>
      candidate &&
      spawnSync(candidate, ['-c', `import ${modules.join(', ')}`], { stdio: 'ignore' }).status === 0,
  );
  if (!python)
    console.warn(`skipped: no Python with ${modules.join(', ')} (${candidates.filter(Boolean).join(', ')})`);
  return python;
}
