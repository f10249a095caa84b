import { describe, expect, it } from 'vitest';
import { terminalHtml, terminalText } from '../../../kernels/display/terminal-text';

const html = (text: string, longest = Number.POSITIVE_INFINITY): string => terminalHtml(text, longest);

describe('overwritten text', () => {
  it.each([
    ['abc\rX', 'Xbc'],
    ['abc\r\nd', 'abc\nd'],
    ['step 1\rstep 2\rstep 3', 'step 3'],
    ['abc\b\bX', 'aXc'],
    ['\bab', 'ab'],
    ['abcdef\r\u001b[Kxy', 'xy'],
    ['abcdef\rxy\u001b[K', 'xy'],
    ['abc\u001b[2KX', '   X'],
    ['abcdef\b\b\u001b[1KX', '    Xf'],
    ['a\tb\u0007c', 'a\tbc'],
    ['\u001b]0;a title\u0007here \u001b]8;;https://x.y\u001b\\link\u001b]8;;\u001b\\', 'here link'],
    ['\u001b[1A\u001b[?25lshown', 'shown'],
  ])('%j', (text, shown) => {
    expect(terminalText(text)).toBe(shown);
    expect(html(text)).toBe(shown);
  });

  it('keeps the colours of what stays', () => {
    expect(html('\u001b[31mabc\u001b[0m\r\u001b[32mX')).toBe(
      '<span class="fg-green">X</span><span class="fg-red">bc</span>',
    );
  });
});

describe('colours', () => {
  it.each([
    ['\u001b[1;31mred\u001b[0m <i>', '<span class="bold fg-red">red</span> &#60;i&#62;'],
    [
      '\u001b[91;44mx\u001b[39my\u001b[49mz',
      '<span class="fg-red bg-blue">x</span><span class="bg-blue">y</span>z',
    ],
    ['\u001b[2ma\nb\u001b[22mc', '<span class="dim">a</span>\n<span class="dim">b</span>c'],
    ['\u001b[38;5;196mx\u001b[m', '<span style="color:#ff0000">x</span>'],
    [
      '\u001b[38;5;9mx\u001b[48;5;240my',
      '<span class="fg-red">x</span><span class="fg-red" style="background:#585858">y</span>',
    ],
    ['\u001b[38;2;300;0;16mx', '<span style="color:#ff0010">x</span>'],
    ['\u001b[38mx', 'x'],
    ['\u001b[4;7mx\u001b[24;27my', '<span class="underline inverse">x</span>y'],
    ['\u001b[31', '[31'],
  ])('%j', (text, shown) => expect(html(text)).toBe(shown));

  it('may be 100,000 in one sequence', () => {
    const begun = performance.now();
    expect(html(`\u001b[${'1;38;5;9;'.repeat(25_000)}4mx`)).toBe(
      '<span class="bold underline fg-red">x</span>',
    );
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  it('lets nothing of the text into the attributes', () => {
    expect(html('\u001b[38;2;"><script>mx\u001b[99;1e9;-3my')).not.toMatch(
      /<(?!\/?span( class="[\w -]*"| style="[\w:#;]*")*>)/,
    );
  });
});

describe('a long text', () => {
  it('keeps its two ends and says how much is left out', () => {
    const lines = Array.from({ length: 10_000 }, (_, n) => `line ${n}`).join('\n');
    const shown = html(lines, 1000);
    expect(shown.length).toBeLessThan(1200);
    expect(shown).toMatch(/^line 0\nline 1\n/);
    expect(shown).toMatch(/\nline 9998\nline 9999$/);
    expect(shown).toMatch(/97,\d\d\d characters are left out here/);
    expect(html(lines, lines.length + 1)).not.toContain('left out');
  });

  it('may be one line, and 50 MB', () => {
    const shown = html('x'.repeat(25_000_000) + 'y'.repeat(25_000_000), 1000);
    expect(shown).toMatch(/^x{500}\n.*left out here.*\ny{500}$/);
  });

  it('counts visible text only: the end of a progress bar', () => {
    const bar = Array.from({ length: 100_000 }, (_, n) => `\r${String(n).padStart(7)}`).join('');
    expect(html(bar, 1000)).toBe('  99999');
  });
});
