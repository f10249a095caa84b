import { expect, it } from 'vitest';
import { escapeControls, escapeHtml, escapeXml, onOneLine } from '../src/escape';

it('escapes what ends a text or a quoted attribute; XML loses the control characters it cannot hold', () => {
  expect(escapeHtml(`a <b> & "c" 'd'`)).toBe('a &#60;b&#62; &#38; &#34;c&#34; &#39;d&#39;');
  expect(escapeXml('a\u0000\u001b\n<')).toBe('a\n&#60;');
});

it('shows control characters instead of sending them to a terminal', () => {
  expect(escapeControls('a\u001b[2Jb\u009b\tc\nd\r')).toBe('a\\x1b[2Jb\\x9b\tc\nd\\x0d');
});

it('shows a name on one line, whatever it holds', () => {
  expect(onOneLine('a\nleft out b\t\u202egpj.exe\u2028')).toBe('a\\nleft out b\\t\\u202egpj.exe\\u2028');
  expect(onOneLine('Mu\u0308ller \u05d7\u200f 1')).toBe('Mu\u0308ller \u05d7\u200f 1');
});
