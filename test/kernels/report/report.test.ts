import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isHarmlessHtml, isHarmlessLink } from '../../../kernels/display/safe-html';
import type { Cell, Notebook, Output } from '../../../kernels/headless/notebook';
import { OutputFile } from '../../../kernels/headless/output-file';
import { notebookToHtml, writeReport } from '../../../kernels/report/report';
import { Figure, phantom, Table } from '../../../src/index';
import { figureBundle, toBundle } from '../../../src/internal';
import { encodePicture } from '../../../src/plot/base/encode';
import { hasChromium, openBrowser } from '../../chromium';

const markdown = (source: string): Cell => ({ cell_type: 'markdown', source, metadata: {} });
const code = (source: string, ...outputs: Output[]): Cell => ({
  cell_type: 'code',
  source,
  metadata: {},
  outputs,
});
const shown = (data: Record<string, unknown>): Output => ({
  output_type: 'display_data',
  data,
  metadata: {},
});
const notebook = (...cells: Cell[]): Notebook => ({ cells, metadata: {}, nbformat: 4, nbformat_minor: 5 });
const points = new Figure(
  [{ type: 'scatter', name: '</script><b>', x: [1, 2], y: [3, 4] }],
  { height: 300 },
  'two points',
);

const executed = notebook(
  markdown(
    '# A study <of> seams\n\n**bold**, <script>alert(1)</script>, [out](https://example.org), [bad](javascript:alert(1)), ![far](https://example.org/x.png)',
  ),
  code("const a = '<b>'; // a comment", shown(figureBundle(points))),
  code('ct', shown(toBundle(phantom({ shape: [24, 24, 20] }))!)),
  code(
    'loud()',
    { output_type: 'stream', name: 'stdout', text: '\u001b[31mred\u001b[0m <i>\nstep 1\rstep 2\n' },
    shown({ 'text/html': '<table><tr><td>kept</td></tr></table>', 'text/plain': 'unused' }),
    shown({ 'text/html': '<img src=x onerror="alert(1)">', 'text/plain': 'fallback <1>' }),
    shown({
      'image/svg+xml': '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
      'text/plain': 'picture',
    }),
    {
      output_type: 'error',
      ename: 'Error',
      evalue: 'x',
      traceback: ['Error: <broken>', '\u001b[2m  at cell 4\u001b[0m'],
    },
  ),
);

describe('HTML and markdown of others', () => {
  it.each([
    '<a href="https://example.org">all that follows',
    '<details><table><tr><td>hides what follows',
    '</div></section></main><div>outside',
    '<s>struck',
  ])('%s does not reach what stands around it', async (text) => {
    const html = await notebookToHtml(
      notebook(markdown(text), code('1', shown({ 'text/html': text, 'text/plain': 'instead' }))),
    );
    expect(html.slice(html.indexOf('<body>'))).not.toMatch(/<(a|details|table|s)\b|<div>outside/);
    expect(html).toContain('instead');
  });

  it('stays HTML where every tag is closed, also by its parent', async () => {
    const text = '<div><table><tr><td>1<td>2</table><br><b>x</b></div>';
    expect(await notebookToHtml(notebook(markdown(text), code('1', shown({ 'text/html': text }))))).toMatch(
      /<td>1<td>2[\s\S]*<td>1<td>2/,
    );
  });

  it('is shown as it stands where it nests too deeply', async () => {
    expect(await notebookToHtml(notebook(markdown(`${'>'.repeat(5000)}deep`)))).toContain('deep');
  });
});

describe('notebookToHtml', () => {
  let html = '';
  beforeAll(async () => {
    html = await notebookToHtml(executed);
  });

  /** The page without what is Plotly's own. */
  const ours = (): string => html.replace(/<script>[\s\S]*?<\/script>/g, '');

  it('has one copy of Plotly for all figures, and none without a figure', async () => {
    expect(html.match(/id="plotly"/g)).toHaveLength(1);
    expect(html.match(/id="patchwise-viewer"/g)).toHaveLength(1);
    expect(html.match(/data-(figure|volumes)="/g)).toHaveLength(2);
    const plain = await notebookToHtml(
      notebook(markdown('# Words'), code('1', shown(toBundle(new Table({ columns: ['a'], rows: [[1]] }))!))),
    );
    expect(plain).not.toContain('<script');
    expect(plain.length).toBeLessThan(20_000);
  });

  it('fetches nothing', () => {
    expect(html).toContain(`content="default-src 'none'; script-src 'unsafe-inline'`);
    expect(ours()).not.toMatch(/(src|srcset|poster|data)\s*=\s*["']?(https?:)?\/\//i);
    expect(ours()).not.toMatch(/<link|@import|url\(/i);
  });

  it('escapes what the notebook holds', () => {
    expect(ours()).toContain('<title>A study &#60;of&#62; seams</title>');
    expect(ours()).toContain('&#60;script&#62;alert(1)&#60;/script&#62;');
    expect(ours()).toContain('<span class="string">&#39;&#60;b&#62;&#39;</span>');
    expect(ours()).not.toMatch(/<script>alert|javascript:|onerror="/);
    expect(html).toContain('\\u003c/script>\\u003cb>'); // within the figure's JSON
    expect(ours()).toContain('<a href="https://example.org">out</a>');
  });

  it('shows each output in its best harmless form', () => {
    expect(ours()).toContain('<span class="fg-red">red</span> &#60;i&#62;\nstep 2');
    expect(ours()).toContain('<td>kept</td>');
    expect(ours()).toContain('fallback &#60;1&#62;');
    expect(ours()).toMatch(/<img src="data:image\/svg\+xml;base64,[^"]+" alt="picture">/);
    expect(ours()).toContain(
      '<pre class="output error">Error: &#60;broken&#62;\n<span class="dim">  at cell 4</span></pre>',
    );
  });

  it('makes still pictures of the largest figures where the page would be too large', async () => {
    const z = encodePicture(
      Float32Array.from({ length: 900 * 900 }, (_, i) => (i * 7919) % 30_000),
      900,
      900,
    );
    const large = new Figure([{ type: 'heatmap', z }], { height: 300 }, 'large');
    const two = notebook(code('1', shown(figureBundle(points))), code('2', shown(figureBundle(large))));
    const whole = await notebookToHtml(two);
    const small = await notebookToHtml(two, { maxBytes: whole.length - 100_000 });
    const interactive = (html: string): string[] =>
      [...html.matchAll(/data-figure="([^"]+)"/g)].map(([, id]) => id!);
    expect(interactive(whole)).toEqual(['figure-1', 'figure-2']);
    expect(interactive(small)).toEqual(['figure-1']);
    expect(small.length).toBeLessThan(whole.length - 100_000);
    expect(small.includes('alt="large"')).toBe(true);
    expect(small.split('A still picture')).toHaveLength(2);
    expect(whole).not.toContain('A still picture');
  });

  it('makes a still picture of a smaller figure if that saves enough', async () => {
    const heat = (side: number): Figure => {
      const z = encodePicture(
        Float32Array.from({ length: side * side }, (_, i) => (i * 7919) % 30_000),
        side,
        side,
      );
      return new Figure([{ type: 'heatmap', z }], { height: 300 }, `side ${side}`);
    };
    const cells = [heat(900), heat(500), heat(300)].map((figure) => code('', shown(figureBundle(figure))));
    const whole = await notebookToHtml(notebook(...cells));
    const drawnAt = async (maxBytes: number) =>
      [...(await notebookToHtml(notebook(...cells), { maxBytes })).matchAll(/data-figure="([^"]+)"/g)].map(
        ([, id]) => id,
      );
    expect(await drawnAt(whole.length + 30_000)).toEqual(['figure-1', 'figure-2', 'figure-3']);
    expect(await drawnAt(whole.length - 50_000)).toEqual(['figure-1', 'figure-2']);
    expect(await drawnAt(whole.length - 300_000)).toEqual(['figure-1', 'figure-3']);
  });
});

describe('a page that would be too large', () => {
  const long = 'x'.repeat(30_000_000);

  it('leaves out the middle of long texts, whatever kind of output they are', async () => {
    const html = await notebookToHtml(
      notebook(
        code('1', { output_type: 'stream', name: 'stdout', text: `begin\n${long}\nend` }),
        code('2', { output_type: 'error', ename: 'E', evalue: 'e', traceback: [`E: begin${long}end`] }),
        code('3', shown({ 'text/plain': `begin${long}end` })),
        code('4', shown({ 'application/json': { long } })),
        code('5', shown({ 'text/html': `<p>${long}</p>`, 'text/plain': 'instead of the table' })),
        code('6', shown({ 'text/markdown': long })),
        code('7', { output_type: 'stream', name: 'stdout', text: 'short' }),
      ),
    );
    expect(html.length).toBeLessThan(10_000_000);
    expect(html.match(/characters are left out here/g)).toHaveLength(4);
    expect(html).toContain('instead of the table');
    expect(html).toContain('A text of 30.0 MB is left out here');
    expect(html).toContain('<pre class="output">short</pre>');
  });

  it('then large pictures', async () => {
    const picture = Buffer.alloc(3_000_000).toString('base64');
    const html = await notebookToHtml(
      notebook(
        ...Array.from({ length: 4 }, () => code('1', shown({ 'image/png': picture, 'text/plain': 'p' }))),
      ),
    );
    expect(html.length).toBeLessThan(10_000_000);
    expect(html).toContain('A picture of 4.0 MB is left out here: the notebook has it.');
  });
});

describe('harmless HTML', () => {
  it.each([
    ['<p class="a">x <br/> <b>y</b></p>', true],
    ['<img src="data:image/png;base64,AA==" alt="">', true],
    ['<a href="#top">up</a>', true],
    ['<td style="text-align:right">1</td>', true],
    ['a < b', false],
    ['<script>1</script>', false],
    ['<svg onload=alert(1)>', false],
    ['<b onclick="x">', false],
    ['<img src="https://example.org/x.png">', false],
    ['<img src=data:text/html,x>', false],
    ['<a href="java&#115;cript:alert(1)">', false],
    ['<p style="background:url(//example.org)">', false],
    ['<b/onclick=alert(1)>', false],
    ['<iframe srcdoc="x"></iframe>', false],
    ['<p', false],
    [
      '<td style="padding: 2px 4px; color: #333; background-color: rgb(1, 2, 3); font-weight: bold;">1</td>',
      true,
    ],
    ['<a href="https://a.b" style="position:fixed;inset:0">x</a>', false],
    ['<p style="POSITION : absolute">x</p>', false],
    ['<p style="posit&#105;on:fixed">x</p>', false],
    ['<p style="position/**/:fixed">x</p>', false],
    ['<p style="color:red;z-index:9">x</p>', false],
    ['<p style="transform:scale(99)">x</p>', false],
    ['<p style="margin-top:-900px">x</p>', false],
    ['<p style="margin: 0 -900px">x</p>', false],
    ['<p style="background:image-set(\'//a.b\')">x</p>', false],
  ])('%s', (html, harmless) => expect(isHarmlessHtml(html)).toBe(harmless));

  it('links', () => {
    for (const url of ['https://a.b', 'mailto:a@b.c', '#x', 'file.html', './a/b.ipynb'])
      expect(isHarmlessLink(url)).toBe(true);
    for (const url of ['javascript:x', 'JAVASCRIPT:x', ' javascript:x', 'java\nscript:x', 'data:text/html,x'])
      expect(isHarmlessLink(url)).toBe(false);
  });
});

describe.skipIf(!hasChromium('opening a foreign report'))('a report of a foreign notebook', () => {
  const attack = `"><img src=x onerror="document.title='PWNED'"><x a="`;
  const cover = '<a href="https://example.org/login" style="position:fixed;inset:0;z-index:9">log in</a>';
  const cells = [
    markdown(`# Title\n\n${cover}\n\n<p class="figure" style="position:absolute;top:0">over</p>`),
    markdown('<div class="foreign"><table width="3000" height="3000"><tr><td>wide</td></tr></table></div>'),
    code('', { output_type: 'stream', name: attack as 'stdout', text: attack }),
    code('', { output_type: 'error', ename: attack, evalue: attack, traceback: [attack] }),
    code('', { output_type: 'error', ename: attack, evalue: attack, traceback: [] }),
    code(attack, shown({ 'text/html': cover, 'text/plain': attack })),
    code('', shown({ 'text/markdown': `${cover} ${attack}` })),
    code('', shown({ 'image/svg+xml': attack, 'text/plain': attack })),
    code('', shown({ 'image/png': attack, 'text/plain': attack })),
    code('', shown({ 'application/json': { [attack]: attack } })),
    code(
      '',
      shown({
        ...figureBundle(
          new Figure(
            [{ type: 'scatter', name: attack, x: [1], y: [2] }],
            { height: 200, title: { text: attack } },
            attack,
          ),
        ),
      }),
    ),
    { ...markdown(attack), cell_type: 'raw' as const },
    { ...markdown(attack), cell_type: attack as 'raw' },
  ];

  it('runs nothing of it, and nothing of it lies over the rest of the page', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'patchwise-report-'));
    const { page, close } = await openBrowser();
    try {
      await writeFile(join(folder, 'study.html'), await notebookToHtml(notebook(...cells)));
      await page.goto(`file://${join(folder, 'study.html')}`);
      await page.waitForFunction(() => document.querySelector('.figure .main-svg'));
      await page.waitForTimeout(300);
      const seen = await page.evaluate(() => {
        const foreign = [...document.querySelectorAll('.foreign *')];
        const outside = foreign.filter((node) => {
          const [a, b] = [node, node.closest('.foreign')!].map((one) => one.getBoundingClientRect());
          const points = [
            [a!.left + 1, a!.top + 1],
            [a!.right - 1, a!.bottom - 1],
          ] as const;
          return points.some(
            ([x, y]) => (x > b!.right + 1 || y > b!.bottom + 1) && document.elementFromPoint(x, y) === node,
          );
        });
        return {
          title: document.title,
          handlers: document.querySelectorAll('[onerror], x').length,
          fixed: foreign.filter((node) => /fixed|absolute/.test(getComputedStyle(node).position)).length,
          outside: outside.length,
        };
      });
      expect(seen).toEqual({ title: 'Title', handlers: 0, fixed: 0, outside: 0 });
    } finally {
      await close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe.skipIf(!hasChromium('opening a report'))('a report in a browser', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'patchwise-report-'));
    await writeReport(executed, 'study', await OutputFile.open(join(folder, 'study.html')));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each([false, true])('draws its figures offline, dark: %s', async (dark) => {
    expect((await readFile(join(folder, 'study.html'))).length).toBeLessThan(10e6);
    const { page, context, errors, requests, close } = await openBrowser({ dark });
    try {
      await context.setOffline(true);
      await page.goto(`file://${join(folder, 'study.html')}`);
      await page.waitForFunction(() => document.querySelectorAll('.figure .main-svg').length >= 2);
      const fill = await page
        .locator('.figure .xtick text')
        .first()
        .evaluate((node) => getComputedStyle(node).fill);
      expect(fill).toBe(dark ? 'rgb(228, 231, 234)' : 'rgb(28, 33, 38)');
      expect(errors).toEqual([]);
      expect(requests.filter((url) => !/^(file|data|blob):/.test(url))).toEqual([]);
    } finally {
      await close();
    }
  });
});
