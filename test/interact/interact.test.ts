import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, expectTypeOf, it, vi } from 'vitest';
import { runNotebook } from '../../kernels/headless/run';
import { INTERACT_MIME, type StoredInteraction } from '../../src/controls/interact-bundle';
import { WIDGET_MIME } from '../../src/controls/widget-bundle';
import * as pw from '../../src/index';

/** Controls and first values, as a kernel would get them. */
function given(controls: Record<string, pw.GivenControl>) {
  const key = Symbol.for('patchwise.interact');
  const shared = globalThis as unknown as Record<symbol, unknown>;
  let seen: { controls: readonly Record<string, unknown>[]; start: Record<string, unknown> } | undefined;
  shared[key] = (one: typeof seen) => {
    seen = one;
    return { values: one!.start, show: async () => {} };
  };
  try {
    pw.interact(controls, () => {});
  } finally {
    delete shared[key];
  }
  return seen!;
}

describe('the controls of interact', () => {
  it('give values of their types', () => {
    const run = (): void => {
      const controls = {
        overlap: [0, 0.5],
        z: [0, 603, 3],
        window: pw.windowNames,
        plane: ['axial', 'coronal'],
        sharp: false,
        title: 'a',
        size: pw.choice([16, 32]),
        start: pw.choice(['a', 'b'], { start: 'b' }),
        sigma: pw.slider([0, 1], { start: 0.125 }),
        more: pw.button('More'),
      } as const;
      const { values } = pw.interact(
        controls,
        ({ overlap, z, window, plane, sharp, title, size, start, sigma, more }, { signal }) => {
          expectTypeOf([overlap, z, sigma, more]).toEqualTypeOf<number[]>();
          expectTypeOf(window).toEqualTypeOf<pw.WindowName>();
          expectTypeOf(plane).toEqualTypeOf<'axial' | 'coronal'>();
          expectTypeOf(sharp).toEqualTypeOf<boolean>();
          expectTypeOf(title).toEqualTypeOf<string>();
          expectTypeOf(size).toEqualTypeOf<16 | 32>();
          expectTypeOf(start).toEqualTypeOf<'a' | 'b'>();
          expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
        },
      );
      expectTypeOf(values.window).toEqualTypeOf<pw.WindowName>();
      // Written in place they need no `as const`.
      pw.interact({ plane: ['axial', 'coronal'], z: [0, 9] }, ({ plane, z }) => {
        expectTypeOf(plane).toEqualTypeOf<'axial' | 'coronal'>();
        expectTypeOf(z).toEqualTypeOf<number>();
      });
      // @ts-expect-error a number is no control
      pw.interact({ z: 5 }, () => {});
      // @ts-expect-error not one of the options
      pw.choice(['a', 'b'], { start: 'c' });
      // @ts-expect-error there is no such control
      pw.interact({ z: [0, 5] }, ({ y }) => y);
      const counter = pw.widget({ esm: 'export default {}', state: { count: 0 } });
      expectTypeOf(counter.get('count')).toEqualTypeOf<number>();
      // @ts-expect-error there is no such value
      counter.get('other');
    };
    expect(run).toBeTypeOf('function');
  });

  it.each([
    [[0, 603], { min: 0, max: 603, step: 1 }, 302],
    [[0, 1], { min: 0, max: 1, step: 0.01 }, 0.5],
    [[0, 0.5], { min: 0, max: 0.5, step: 0.005 }, 0.25],
    [[-1024, 3071], { min: -1024, max: 3071, step: 1 }, 1024],
    [[0.1, 0.73], { min: 0.1, max: 0.73, step: 0.005 }, 0.415],
    [[0, 10, 0.1], { min: 0, max: 10, step: 0.1 }, 5],
    [[1e-5, 1e-3], { min: 1e-5, max: 1e-3, step: 5e-6 }, 0.000505],
    [[0, 7, 5], { min: 0, max: 7, step: 5 }, 5],
  ] as const)('%j is a slider of %j that starts at %d', (range, slider, start) => {
    const { controls, start: values } = given({ a: range as unknown as pw.SliderRange });
    expect(controls).toEqual([{ name: 'a', kind: 'slider', ...slider }]);
    expect(values).toEqual({ a: start });
  });

  it('may start elsewhere', () => {
    const { start } = given({
      a: pw.slider([0, 0.5], { start: 0.125 }),
      b: pw.choice(['x', 'y'], { start: 'y' }),
    });
    expect(start).toEqual({ a: 0.125, b: 'y' });
  });

  it.each([
    [[5, 5]],
    [[5, 1]],
    [[0, Number.NaN]],
    [[0, 5, 0]],
    [[0]],
    [[0, 1, 2, 3]],
    [['a', 1]],
    [[]],
    [null],
    [{}],
    [7],
  ])('%j is none', (bad) => {
    expect(() => given({ z: bad as unknown as pw.GivenControl })).toThrow(/^z: expected/);
  });

  it('refuse a start that they do not have', () => {
    expect(() => pw.slider([0, 1], { start: 2 })).toThrow('start: expected a number from 0 to 1');
    expect(() => pw.choice([1, 2], { start: 3 as 1 })).toThrow('start: expected one of the options');
    expect(() => pw.choice([])).toThrow('options: expected');
    expect(() => pw.choice([1, Number.NaN])).toThrow('options: expected');
    expect(() => pw.choice(null as never)).toThrow('options: expected');
    expect(() => pw.slider(null as never)).toThrow('slider: expected');
    expect(() => pw.slider([0n, 1n] as never)).toThrow('slider: expected');
    expect(() => pw.button(3 as never)).toThrow('label: expected');
  });

  it('refuse an answer that is no function, and no controls', () => {
    expect(() => pw.interact({ z: [0, 5] }, undefined as never)).toThrow('answer: expected a function');
    expect(() => pw.interact(null as never, () => {})).toThrow('controls: expected');
  });
});

describe('outside a notebook', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('interact answers once, with the first values, and prints', async () => {
    const written: string[] = [];
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => Boolean(written.push(String(text))));
    let calls = 0;
    const { values } = pw.interact({ z: [0, 10], on: true }, async (of, { signal }) => {
      calls++;
      return pw.markdown(`${of.z} ${of.on} ${signal.aborted}`);
    });
    await vi.waitFor(() => expect(written.join('')).toBe('5 true false\n'));
    expect(calls).toBe(1);
    expect(values).toEqual({ z: 5, on: true });
  });

  it('a widget keeps its values', () => {
    const own = pw.widget({ esm: 'export default {}', state: { count: 1 } });
    own.set({ count: 2 });
    expect(own.get('count')).toBe(2);
  });
});

it('a headless run stores the first answer, and the widget', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-interact-'));
  try {
    const source = [
      "import * as pw from 'patchwise';\npw.interact({ z: [0, 10] }, async ({ z }) => { await new Promise((r) => setTimeout(r, 600)); return pw.html('<b>' + z + '</b>'); })",
      "pw.widget({ esm: 'export default {}', state: { n: 1 } })",
    ];
    const cells = source.map((text) => ({
      cell_type: 'code',
      source: text,
      metadata: {},
      outputs: [],
      execution_count: null,
    }));
    const path = join(folder, 'a.ipynb');
    await writeFile(path, JSON.stringify({ cells, metadata: {}, nbformat: 4, nbformat_minor: 5 }));
    const { notebook } = await runNotebook({ path });
    const data = (at: number): Record<string, unknown> => {
      const { outputs } = notebook.cells[at]!;
      expect(outputs).toHaveLength(1);
      return (outputs![0] as { data: Record<string, unknown> }).data;
    };
    const stored = data(0)[INTERACT_MIME] as StoredInteraction;
    expect(stored).toMatchObject({
      values: { z: 5 },
      answer: 1,
      outputs: [{ data: { 'text/html': '<b>5</b>' } }],
    });
    expect(data(0)).toMatchObject({ 'text/html': '<b>5</b>', 'text/plain': 'z = 5\n5' });
    expect(data(1)[WIDGET_MIME]).toMatchObject({ state: { n: 1 } });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 60_000);
