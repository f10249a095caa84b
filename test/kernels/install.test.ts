import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { installKernel, listKernels, uninstallKernel } from '../../kernels/install';
import { compiledFile } from '../../src/package';

const prefix = mkdtempSync(join(tmpdir(), 'patchwise-install-'));
afterAll(() => rmSync(prefix, { recursive: true, force: true }));

it('the kernelspec is installed under a prefix, listed, and taken away again', async () => {
  const share = join(prefix, 'share/jupyter');
  process.env.JUPYTER_PATH = share;
  const { kernel } = await installKernel({ prefix });
  expect(kernel).toBe(join(share, 'kernels/patchwise'));
  const spec = JSON.parse(readFileSync(join(kernel, 'kernel.json'), 'utf8'));
  expect(spec).toMatchObject({
    display_name: 'Patchwise (TypeScript)',
    language: 'typescript',
    interrupt_mode: 'message',
  });
  expect(spec.argv).toEqual([
    process.execPath,
    '--inspect-port=192.0.2.1:9229', // an address that no machine has: no debugger port
    expect.stringMatching(/dist.kernels.main\.js$/),
    '{connection_file}',
  ]);
  expect((await listKernels()).map(({ dir }) => dir)).toContain(kernel);

  expect(spec.env).toBeUndefined();

  await installKernel({ prefix, engine: 'tslab' }); // a second time replaces the first
  const again = JSON.parse(readFileSync(join(kernel, 'kernel.json'), 'utf8'));
  expect(again.env).toEqual({ PATCHWISE_ENGINE: 'tslab' });
  expect(await uninstallKernel({ prefix })).toContain(kernel);
  expect(existsSync(kernel)).toBe(false);
  expect((await listKernels()).map(({ dir }) => dir)).not.toContain(kernel);
  expect(await uninstallKernel({ prefix })).toEqual([]);
  writeFileSync(kernel, 'a file of that name is not ours');
  expect(await uninstallKernel({ prefix })).toEqual([]);
  expect(existsSync(kernel)).toBe(true);
});

it("the scripts of JupyterLab's extension have another address when they change", async () => {
  const load = async () => {
    const { extension } = await installKernel({ prefix: join(prefix, 'lab') });
    const { jupyterlab } = JSON.parse(readFileSync(join(extension!, 'package.json'), 'utf8'));
    const entry = join(extension!, jupyterlab._build.load);
    for (const script of ['viewer.js', 'plotly.min.js'])
      expect(existsSync(join(dirname(entry), script)), script).toBe(true);
    return entry;
  };
  const before = await load();
  expect(await load()).toBe(before);
  const viewer = compiledFile('kernels', 'browser', 'viewer.js');
  const script = readFileSync(viewer);
  try {
    writeFileSync(viewer, `${script}\n// newer`);
    expect(await load()).not.toBe(before);
    expect(existsSync(before)).toBe(false);
  } finally {
    writeFileSync(viewer, script);
  }
});
