import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { installKernel } from '../../kernels/install';
import './raw-kernel'; // refuses a stale build

const candidates = [process.env.PATCHWISE_PYTHON, '.venv/bin/python', 'python3', '/usr/bin/python3'];
const python = candidates.find((candidate) => candidate && imports(candidate, 'jupyter_kernel_test'));
if (!python) console.log('skipped: no Python with jupyter_kernel_test (Debian: python3-jupyter-kernel-test)');

test.skipIf(!python)('jupyter_kernel_test: every test passes but the pager, which cannot apply', async () => {
  const prefix = mkdtempSync(join(tmpdir(), 'patchwise-jupyter-'));
  try {
    await installKernel({ prefix });
    const env = { ...process.env, JUPYTER_PATH: join(prefix, 'share/jupyter'), HOME: prefix };
    const script = join(__dirname, 'jupyter_kernel_test_patchwise.py');
    const { stderr } = await promisify(execFile)(python!, [script], { env, cwd: prefix });
    expect(stderr).toMatch(/Ran 12 tests/);
    expect(stderr).toContain('OK (skipped=1)');
    expect(stderr).toMatch(/test_pager .* skipped/);
  } finally {
    rmSync(prefix, { recursive: true, force: true });
  }
});

function imports(program: string, module: string): boolean {
  try {
    execFileSync(program, ['-c', `import ${module}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
