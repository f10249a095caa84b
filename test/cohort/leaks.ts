/** Searches bytes for what names the patients of the DICOM fixtures. */
import { inflateRawSync, unzipSync } from 'node:zlib';
import { attempt } from '../../src/errors';

/** Long enough that no picture or number holds them by chance. */
const secrets = [
  ...['Müller', 'Mueller', 'MUELLER', 'Jürgen', 'JUERGEN', 'Juergen', 'Gonçalves', 'GONCALVES', 'Goncalves'],
  ...['José', 'Weißenborn', 'Weissenborn', 'MRN-004217', '004217', '7731552', '1.2.826.0.1.3680043'],
  ...['19610517', '17.05.1961', '1961-05-17', '19480229', '29.02.1948', '1948-02-29'],
  ...['20190203', '03.02.2019', '2019-02-03', 'T141516', '14:15:16'],
];
const patterns = secrets.flatMap((text) => {
  const encoded = new Set(
    [Buffer.from(text, 'utf8'), Buffer.from(text, 'latin1')].map((bytes) => bytes.toString('latin1')),
  );
  // Digits within longer numbers are chance: no patient's id has a point or another digit before it.
  const edge = (at: string) => (/^\d+$/.test(text) ? at : '');
  return [...encoded].map((latin1) => {
    const plain = latin1.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    return [text, new RegExp(`${edge('(?<![\\d.])')}${plain}${edge('(?!\\d)')}`)] as const;
  });
});

/** What bytes, and what is packed in them, say of a patient. */
export function leaks(bytes: Buffer): string[] {
  const found = new Set<string>();
  for (const part of layers(bytes)) {
    const text = part.toString('latin1');
    for (const [secret, pattern] of patterns) if (pattern.test(text)) found.add(secret);
  }
  return [...found].sort();
}

/** The bytes, what they unpack to, and the base64 within them. */
function layers(bytes: Buffer, depth = 0): Buffer[] {
  if (depth > 3) return [];
  const unpacked = isPacked(bytes) ? attempt(() => unzipSync(bytes)) : undefined;
  const inner = unpacked ? [unpacked] : entriesOf(bytes);
  const texts = bytes.toString('latin1').match(/[A-Za-z0-9+/]{80,}={0,2}/g) ?? [];
  const decoded = texts.map((text) => Buffer.from(text, 'base64'));
  return [bytes, ...[...inner, ...decoded].flatMap((part) => layers(part, depth + 1))];
}

function isPacked(bytes: Buffer): boolean {
  return (bytes[0] === 0x1f && bytes[1] === 0x8b) || (bytes[0] === 0x78 && bytes.readUInt16BE(0) % 31 === 0);
}

/** The deflated files of a zip archive, such as codes (.npz). */
function entriesOf(bytes: Buffer): Buffer[] {
  const entries: Buffer[] = [];
  let at = 0;
  while (at + 30 <= bytes.length && bytes.readUInt32LE(at) === 0x04034b50) {
    const start = at + 30 + bytes.readUInt16LE(at + 26) + bytes.readUInt16LE(at + 28);
    const end = start + bytes.readUInt32LE(at + 18);
    const entry = attempt(() => inflateRawSync(bytes.subarray(start, end)));
    if (entry) entries.push(entry);
    at = end;
  }
  return entries;
}
