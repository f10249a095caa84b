import { text } from './elements';

/** DICOM's names of character sets, as TextDecoder names them. */
const sets: Readonly<Record<string, string>> = {
  'ISO_IR 101': 'iso-8859-2',
  'ISO_IR 109': 'iso-8859-3',
  'ISO_IR 110': 'iso-8859-4',
  'ISO_IR 144': 'iso-8859-5',
  'ISO_IR 127': 'iso-8859-6',
  'ISO_IR 126': 'iso-8859-7',
  'ISO_IR 138': 'iso-8859-8',
  'ISO_IR 148': 'windows-1254',
  'ISO_IR 166': 'windows-874',
  'ISO_IR 13': 'shift_jis',
  'ISO_IR 192': 'utf-8',
  GB18030: 'gb18030',
  GBK: 'gbk',
  'ISO 2022 IR 13': 'shift_jis',
  'ISO 2022 IR 87': 'iso-2022-jp',
  'ISO 2022 IR 159': 'iso-2022-jp',
  'ISO 2022 IR 149': 'euc-kr',
  'ISO 2022 IR 58': 'gb18030',
};

/** A person's name or another text in the file's character set; Latin-1 if the file names none. */
export function decodeName(value: Buffer | undefined, characterSet: string): string {
  if (!value) return '';
  const named = characterSet
    .split('\\')
    .map((name) => sets[name.trim().replace(/^ISO 2022 IR 1(0[19]|10|44|2[67]|38|48|66)$/, 'ISO_IR 1$1')]);
  const label = named.find((name) => name !== undefined);
  const decoded = label === undefined ? text(value) : new TextDecoder(label).decode(value);
  return decoded
    .replace(/[\0 ]+$/, '')
    .trim()
    .normalize('NFC');
}
