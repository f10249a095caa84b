import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { backendNames } from '../../src/compute/use-backend';

const run = promisify(execFile);
const root = resolve(__dirname, '../..');

interface Spec {
  readonly name: string;
  readonly status: 'passed' | 'failed' | 'pending' | 'excluded';
  readonly error?: string;
}

interface Outcome {
  readonly specs: readonly Spec[];
  /** tfjs's kernels that the backend lacks. */
  readonly missing: readonly string[];
}

/** What is not implemented, and why: `unsupported.json` in this folder. */
interface Unsupported {
  /** Reason -> kernels. */
  readonly kernels: Readonly<Record<string, readonly string[]>>;
  /** Reason -> full names of specs that fail although their kernels are there. */
  readonly specs: Readonly<Record<string, readonly string[]>>;
}

const unsupported = JSON.parse(readFileSync(join(__dirname, 'unsupported.json'), 'utf8')) as Unsupported;
const listedKernels = Object.values(unsupported.kernels).flat();
const listedSpecs = Object.values(unsupported.specs).flat();

const built = backendNames.includes('libtorch');
if (!built) console.log('skipped: backend libtorch is not built (npx patchwise backend build libtorch)');

describe.skipIf(!built)("tfjs-core's own op specs on libtorch", () => {
  let outcome: Promise<Outcome> | undefined;
  const specs = () => {
    outcome ??= runSpecs('libtorch');
    return outcome;
  };

  it('pass, where the kernels they need are implemented', { timeout: 600_000 }, async () => {
    const { specs: all } = await specs();
    expect(all.length).toBeGreaterThan(3000);
    const failed = all.filter(({ status }) => status === 'failed');
    const unexpected = failed.filter(({ name, error }) => {
      const kernel = /Kernel '(\w+)' not registered for backend/.exec(error ?? '')?.[1];
      return !(kernel && listedKernels.includes(kernel)) && !listedSpecs.includes(name);
    });
    expect(unexpected.map(({ name, error }) => `${name}: ${error}`)).toEqual([]);
    const passed = all.filter(({ status }) => status === 'passed').length;
    console.log(`${passed} of ${all.length} op specs pass, ${failed.length} are listed in unsupported.json`);
    expect(passed).toBeGreaterThan(all.length / 2);
  });

  it('name every missing kernel in the list, and no other', { timeout: 600_000 }, async () => {
    const { missing } = await specs();
    expect([...missing].sort()).toEqual([...listedKernels].sort());
  });

  it('leave no spec in the list that passes', { timeout: 600_000 }, async () => {
    const passed = new Set((await specs()).specs.flatMap((s) => (s.status === 'passed' ? [s.name] : [])));
    expect(listedSpecs.filter((name) => passed.has(name))).toEqual([]);
  });
});

async function runSpecs(backend: string): Promise<Outcome> {
  expect(existsSync(join(root, 'dist', 'src', 'index.js')), 'npm run build comes first').toBe(true);
  const { stdout } = await run(process.execPath, [join(__dirname, 'run.mjs'), backend], {
    maxBuffer: 1 << 28,
    timeout: 580_000,
  });
  return JSON.parse(stdout) as Outcome;
}
