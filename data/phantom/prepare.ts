import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { InvalidArgument, type LongCall, phantom, writeVolume } from '../../src/index';
import { makeFolder } from '../../src/make-folder';

export interface PhantomFolder extends LongCall {
  readonly folder: string;
  readonly count: number;
  /** Voxels along x, y and z. */
  readonly shape: readonly number[];
}

/** Writes phantoms with seeds 0 to count - 1 to a folder and keeps existing ones. Returns their paths. */
export async function preparePhantoms({ folder, count, shape, ...call }: PhantomFolder): Promise<string[]> {
  makeFolder(folder);
  const paths: string[] = [];
  for (let seed = 0; seed < count; seed++) {
    call.signal?.throwIfAborted();
    const path = join(folder, `phantom-${String(seed).padStart(3, '0')}.nii.gz`);
    if (!existsSync(path)) {
      await writeVolume(path, phantom({ shape, seed }), { dtype: 'int16', signal: call.signal });
    }
    paths.push(path);
    call.onProgress?.({ done: seed + 1, total: count, what: 'phantoms' });
  }
  return paths;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { count: { type: 'string', default: '8' }, shape: { type: 'string', default: '128x128x152' } },
  });
  const [folder] = positionals;
  if (!folder)
    throw new InvalidArgument(
      'folder',
      'a folder to write to: prepare.js FOLDER [--count 8] [--shape 128x128x152]',
      folder,
    );
  const count = Number(values.count);
  if (!Number.isInteger(count) || count < 1)
    throw new InvalidArgument('count', 'a whole number above 0', values.count);
  await preparePhantoms({
    folder,
    count,
    shape: values.shape.split('x').map(Number),
    onProgress: ({ done, total, what }) => process.stderr.write(`${done} of ${total} ${what}\n`),
  });
}

if (require.main === module) {
  main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = error instanceof InvalidArgument ? 2 : 1;
  });
}
