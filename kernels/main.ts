/** The kernel process: `node dist/kernels/main.js <connection file>`. Started by Jupyter or by our own client. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConnection } from './connection';
import type { MimeBundle } from './display';
import { packageRoot } from './package-types';
import { KernelServer } from './server';
import { createTslabEngine } from './tslab';

async function main(): Promise<void> {
  const connectionPath = process.argv[2];
  if (!connectionPath) {
    process.stderr.write('usage: node main.js <connection file>\n');
    process.exit(2);
  }
  const connection = readConnection(connectionPath);
  const engine = createTslabEngine(process.cwd());
  const kernel = new KernelServer({ connection, engine, present, onShutdown: leave });
  await kernel.start();
}

/**
 * The library's own way of showing values. Asked only once a cell has loaded the library: no value of its classes
 * can exist before, and the kernel starts without its weight.
 */
function present(value: unknown): MimeBundle | undefined {
  const library = require.cache[join(packageRoot(), 'dist', 'src', 'index.js')]?.exports as
    | { toBundle?: (value: unknown) => MimeBundle | undefined }
    | undefined;
  return library?.toBundle?.(value);
}

/** Ends the process together with what cells left running in its process group; detached runs are in their own. */
function leave(): void {
  if (leadsItsGroup()) {
    process.on('SIGTERM', () => {});
    process.kill(-process.pid, 'SIGTERM');
  }
  process.exit(0);
}

function leadsItsGroup(): boolean {
  if (process.platform !== 'linux') return false;
  const afterName = readFileSync('/proc/self/stat', 'latin1').split(') ').at(-1)!.split(' ');
  return Number(afterName[2]) === process.pid; // state, parent, group
}

void main();
