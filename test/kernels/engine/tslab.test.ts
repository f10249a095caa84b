import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { RawKernel } from '../raw-kernel';
import { engineCases } from './cases/engine-cases';

engineCases('tslab');

it('a kernel that cannot load tslab answers kernel_info, and its cells fail with the reason', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'patchwise-tslab-'));
  const hook = join(folder, 'no-tslab.js');
  writeFileSync(
    hook,
    `const Module = require('node:module');
    const resolve = Module._resolveFilename;
    Module._resolveFilename = function (request, ...rest) {
      if (request.startsWith('tslab/')) throw new Error('tslab is broken');
      return resolve.call(this, request, ...rest);
    };`,
  );
  const kernel = await RawKernel.start({ PATCHWISE_ENGINE: 'tslab', NODE_OPTIONS: `--require ${hook}` });
  try {
    const { status, language_info } = await kernel.request('kernel_info_request', {});
    expect({ status, version: language_info.version }).toEqual({ status: 'ok', version: '5.0.4' });
    for (const _ of [1, 2]) {
      const { reply } = await kernel.execute('1 + 1');
      expect(reply).toMatchObject({ status: 'error', evalue: 'tslab is broken' });
    }
  } finally {
    kernel.stop();
    rmSync(folder, { recursive: true });
  }
});
