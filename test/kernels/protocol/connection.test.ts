import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readConnection } from '../../../kernels/protocol/connection';

it('a connection file may leave fields out, or have null for them', () => {
  const folder = mkdtempSync(join(tmpdir(), 'patchwise-connection-'));
  const path = join(folder, 'kernel.json');
  const places = { shell_port: 1, iopub_port: 2, stdin_port: 3, control_port: 4, hb_port: 5 };
  const read = (fields: object) => {
    writeFileSync(path, JSON.stringify({ ...places, ...fields }));
    return readConnection(path);
  };
  try {
    const ports = { shell: 1, iopub: 2, stdin: 3, control: 4, hb: 5 };
    const connection = { transport: 'tcp', ip: '127.0.0.1', key: '', ports };
    expect(read({})).toEqual(connection);
    expect(read({ transport: null, signature_scheme: null, ip: null, key: null })).toEqual(connection);
    expect(() => read({ transport: 'udp' })).toThrow('expected transport tcp or ipc, found udp');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
