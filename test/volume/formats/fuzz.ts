import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { isPatchwiseError } from '../../../src/errors';
import { Random } from '../../../src/random';
import { readVolume } from '../../../src/volume/read';
import type { Volume } from '../../../src/volume/volume';

export interface FuzzResult {
  /** Reads that ended with an error of ours. */
  refused: number;
  /** Reads that gave a volume. */
  read: number;
  /** What went wrong, in words, with the case's number: the same seed and number make the same file again. */
  readonly wrong: string[];
}

const fixtures = join(__dirname, '../../fixtures/formats');
const names = readdirSync(fixtures).filter((name) => /\.(mha|mhd|nrrd|nhdr)$/.test(name));

const hangAfter = 20_000; // ms; a case takes about one
const mostMemory = 2 ** 30;

/**
 * Reads `count` damaged files of MetaImage and NRRD. Every one must end, soon and in bounded memory, with an error of
 * ours or with a volume. The files stay in `folder`, so that another program can read them too.
 */
export async function fuzzFormats(count: number, seed: number, folder: string): Promise<FuzzResult> {
  cpSync(fixtures, folder, { recursive: true, filter: (path) => !/make\.mjs$|\.json$/.test(path) });
  const result: FuzzResult = { refused: 0, read: 0, wrong: [] };
  for (let n = 0; n < count; n++) {
    const random = new Random(seed, 'fuzz', n);
    const name = names[random.below(names.length)]!;
    const path = join(folder, `fuzz-${n}${name.slice(name.lastIndexOf('.'))}`);
    writeFileSync(path, damaged(readFileSync(join(fixtures, name)), random));
    const outcome = await readOrFail(path);
    if (process.memoryUsage.rss() > mostMemory) result.wrong.push(`${n}: more than 1 GiB of memory`);
    if (typeof outcome === 'string') result.wrong.push(`${n} (${name}): ${outcome}`);
    else if (outcome) result.read++;
    else result.refused++;
  }
  return result;
}

/** The volume, undefined for an error of ours, or what went wrong in words. */
async function readOrFail(path: string): Promise<Volume | undefined | string> {
  const control = new AbortController();
  const late = setTimeout(hangAfter, 'still reading after 20 s', { signal: control.signal }).catch(
    () => undefined,
  );
  const reading = readVolume(path, { index: 0 }).catch((error: unknown) =>
    isPatchwiseError(error) && !/\n/.test(error.message) ? undefined : `an error not ours: ${error}`,
  );
  const outcome = await Promise.race([reading, late]);
  control.abort();
  return outcome;
}

const oddValues = [
  ...[
    '0',
    '-1',
    '1',
    '2',
    '3',
    '7',
    '60',
    '1e3',
    '1e308',
    '-1e308',
    '1e999',
    'nan',
    'inf',
    '0x10',
    '99999999',
    '2147483648',
  ],
  ...[
    '9007199254740993',
    '18446744073709551616',
    '',
    ' ',
    'LIST',
    'LIST 1',
    'LOCAL',
    '/dev/zero',
    '/dev/null',
    '..',
    '.',
    '/',
  ],
  ...[
    'slice%d.raw 1 99999999999 1',
    'slice %02d.raw 1 5 2',
    'slice%999999d.raw 1 3 1',
    '%s%s%n 1 3 1',
    '%d 3 1 -1',
  ],
  ...[
    '(1,0,0)',
    '(1,0,0) (0,1,0) (0,0,1)',
    '(1e200,0,0) (0,1e200,0) (0,0,1e200)',
    'none',
    '((',
    '(1,0',
    'none none none',
  ],
  ...[
    'True',
    'False',
    'raw',
    'gzip',
    'hex',
    'ascii',
    'double',
    'float',
    'MET_DOUBLE',
    'MET_UCHAR',
    'big',
    'little',
    'RAS',
    '\0',
  ],
  ...[
    '5 4 3',
    '3 4 5',
    '1 1 60',
    '60 1 1',
    '5 4 3 1',
    '99999 99999 99999',
    '1 0 0 0 1 0 0 0 1',
    '5 4 99999999',
  ],
];
const oddLines = [
  ...[
    'NDims = 2',
    'HeaderSize = -1',
    'HeaderSize = 5',
    'CompressedData = True',
    'BinaryData = False',
    'ElementByteOrderMSB = True',
  ],
  ...[
    'byte skip: -1',
    'byte skip: 4',
    'line skip: 1',
    'encoding: gzip',
    'data file: LIST',
    'spacings: 1 nan 2',
    'space: RAS',
  ],
  ...[
    '',
    '#',
    ':',
    '=',
    'x',
    'key:=value',
    'ElementDataFile = LOCAL',
    'dimension: 16',
    'kinds: list domain domain',
  ],
];

function damaged(base: Buffer, random: Random): Buffer {
  let bytes = base;
  const damages = 1 + random.below(3);
  for (let n = 0; n < damages; n++) bytes = damageOnce(bytes, random);
  return bytes;
}

function damageOnce(bytes: Buffer, random: Random): Buffer {
  const choose = <T>(values: readonly T[]): T => values[random.below(values.length)]!;
  const at = random.below(bytes.length + 1);
  const lines = bytes.toString('latin1').split('\n');
  const line = random.below(Math.min(lines.length, 16));
  const joined = () => Buffer.from(lines.join('\n'), 'latin1');
  switch (random.below(9)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Buffer.concat([
        bytes.subarray(0, at),
        bytes.subarray(Math.min(bytes.length, at + random.below(40))),
      ]);
    case 2:
      return Buffer.concat([bytes, Buffer.alloc(random.below(300), random.below(256))]);
    case 3: {
      const copy = Buffer.from(bytes);
      if (copy.length > 0) copy[Math.min(at, copy.length - 1)] = random.below(256);
      return copy;
    }
    case 4:
      lines.splice(line, 1);
      return joined();
    case 5:
      lines.splice(line, 0, random.next() < 0.5 ? choose(oddLines) : lines[random.below(lines.length)]!);
      return joined();
    case 6: {
      const words = lines[line]!.split(' ');
      words[random.below(words.length)] = choose(oddValues);
      lines[line] = words.join(' ');
      return joined();
    }
    default:
      lines[line] = lines[line]!.replace(/([=:]\s*).*$/, (_, sign: string) => sign + choose(oddValues));
      return joined();
  }
}
