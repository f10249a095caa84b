import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { hugePages } from '../../src/memory/huge-pages';

/** Prints the KiB of a process's memory that are in large pages, with an array of 64 MiB in it. */
const script = `
const values = new Float32Array(2 ** 24).fill(1);
const found = /AnonHugePages:\\s+(\\d+)/.exec(require('node:fs').readFileSync('/proc/self/smaps_rollup', 'utf8'));
process.stdout.write(found[1] + (values[5] === 1 ? '' : ' wrong'));`;

it.skipIf(!givesHugePages())('a process that starts with the variable has its arrays in large pages', () => {
  const env = { ...process.env, ...hugePages };
  const kibibytes = Number(execFileSync(process.execPath, ['-e', script], { env, encoding: 'utf8' }));
  // A fragmented machine may give fewer.
  expect(kibibytes).toBeGreaterThan(16 * 1024);
});

/** Whether the system gives large pages to programs that ask, and the C library is a glibc that can ask. */
function givesHugePages(): boolean {
  try {
    const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
    const [major = 0, minor = 0] = (header.glibcVersionRuntime ?? '0').split('.').map(Number);
    const setting = readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8');
    return (major > 2 || minor >= 35) && /\[(madvise|always)\]/.test(setting);
  } catch {
    return false;
  }
}
