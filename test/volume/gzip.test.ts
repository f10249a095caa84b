import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { findPython } from '../../bench/python';
import { Random } from '../../src/random';
import { gzip } from '../../src/volume/gzip';
import { phantom } from '../../src/volume/phantom/phantom';
import { skip } from '../required';
import { temporaryFolder } from './folder';

const block = 2 ** 19;

/** A CT as int16, long enough for several blocks. */
const ct = new Uint8Array(Int16Array.from(phantom({ shape: [160, 160, 60], seed: 3 }).data).buffer);

function* piecesOf(bytes: Uint8Array, length: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function packed(bytes: Uint8Array, level = 1, length = 100_003): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of gzip(piecesOf(bytes, length), level)) parts.push(part);
  return Buffer.concat(parts);
}

describe('gzip', () => {
  const folder = temporaryFolder();

  it.each([0, 1, 351, block - 1, block, block + 1, 3 * block, ct.length])(
    'gives %i bytes back',
    async (length) => {
      const bytes = ct.subarray(0, length);
      expect(gunzipSync(await packed(bytes)).equals(bytes)).toBe(true);
    },
  );

  it('gives back bytes that cannot be compressed', async () => {
    const random = new Random(1, 'gzip test');
    const bytes = Uint8Array.from({ length: block + 5 }, () => random.below(256));
    const small = await packed(bytes);
    expect(gunzipSync(small).equals(bytes)).toBe(true);
    expect(small.length).toBeLessThan(bytes.length * 1.001);
  });

  it.each([1, 6, 9])('at level %i is as small as one long compression, to 1 %', async (level) => {
    const whole = gzipSync(ct, { level }).length;
    expect((await packed(ct, level)).length).toBeLessThan(whole * 1.01);
  });

  it('has the same bytes however the stream is cut, and in each call', async () => {
    const first = await packed(ct, 1, 1000);
    expect((await packed(ct, 1, 700_001)).equals(first)).toBe(true);
  });

  it('lets a source reuse its array', async () => {
    const one = new Uint8Array(70_001);
    function* reused() {
      for (const piece of piecesOf(ct, one.length)) {
        one.set(piece);
        yield one.subarray(0, piece.length);
      }
    }
    const parts: Uint8Array[] = [];
    for await (const part of gzip(reused(), 1)) parts.push(part);
    expect(gunzipSync(Buffer.concat(parts)).equals(ct)).toBe(true);
  });

  it('takes no more than a few blocks before its reader takes one', async () => {
    let taken = 0;
    function* counted() {
      for (const piece of piecesOf(ct, block / 2)) {
        taken += piece.length;
        yield piece;
      }
    }
    const reader = gzip(counted(), 1);
    await reader.next();
    await reader.next();
    expect(taken).toBeLessThanOrEqual(6 * block);
    expect(ct.length).toBeGreaterThan(5 * block);
    await reader.return(undefined);
  });

  it('passes on an error of the source', async () => {
    async function* broken() {
      yield ct.subarray(0, 2 * block);
      throw new Error('the source broke');
    }
    const reading = async () => {
      for await (const _ of gzip(broken(), 1));
    };
    await expect(reading()).rejects.toThrow('the source broke');
  });

  it('is read by browsers', async () => {
    const stream = new Blob([new Uint8Array(await packed(ct))])
      .stream()
      .pipeThrough(new DecompressionStream('gzip'));
    const back = Buffer.from(await new Response(stream).arrayBuffer());
    expect(back.equals(ct)).toBe(true);
  });

  it('is read by gzip, pigz and Python', async () => {
    const path = join(folder(), 'ct.gz');
    writeFileSync(path, await packed(ct));
    for (const program of ['gzip', 'pigz']) {
      if (!isThere(program)) skip(program, 'reading our gzip with it', `install ${program}`);
      else execFileSync(program, ['-t', path], { stdio: 'pipe' });
    }
    const python = await findPython(['gzip']);
    if (!python) return skip('python', 'reading our gzip with it', 'PATCHWISE_PYTHON');
    const script = 'import gzip, sys; sys.stdout.buffer.write(gzip.open(sys.argv[1]).read())';
    const back = execFileSync(python, ['-c', script, path], { maxBuffer: 2 ** 26 });
    expect(back.equals(ct)).toBe(true);
  });
});

function isThere(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}
