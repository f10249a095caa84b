import { inspect } from 'node:util';
import { valuesText } from '../controls/controls';
import { cellHook, type DisplayOptions, SHOWS_LIVE, type ShownControls } from '../display-protocol';
import { InvalidArgument } from '../errors';
import { display } from '../plot/display';
import { controlsOf, type GivenControl, type ValuesOf } from './given';

/** Controls with a function that answers their values. The last value of a cell, or an argument of `display`. */
export class Interaction<V> {
  readonly #shown: ShownControls;

  constructor(shown: ShownControls) {
    this.#shown = shown;
  }

  /** The present values of the controls: other cells may go on with what was found by hand. */
  get values(): V {
    return this.#shown.values as V;
  }

  [SHOWS_LIVE](options: DisplayOptions): Promise<void> {
    return this.#shown.show(options);
  }

  [inspect.custom](): string {
    const values = this.values as ShownControls['values'];
    return `Interaction: ${valuesText(
      Object.keys(values).map((name) => ({ kind: 'checkbox', name })),
      values,
    )}`;
  }
}

/**
 * Controls above, and below them whatever `answer` makes of their values: a figure, a table, a volume, HTML, what it
 * prints, or its error. Each move of a control calls it again.
 *
 * ```ts
 * const ct = pw.phantom({ shape: [64, 64, 48], seed: 1 });
 * pw.interact({ patch: [16, 64, 8], overlap: [0, 0.5], z: [0, 47], grid: false }, ({ patch, overlap, z, grid }) =>
 *   grid ? pw.planGrid(ct.shape, { patch, overlap }) : pw.volumeFigure(ct, { at: [32, 32, z] }),
 * );
 * ```
 *
 * - `[min, max]` is a slider. It has integers if both ends are and lie more than 1 apart, so `[0, 603]` has slices and
 *   `[0, 1]` has hundredths. Other sliders have steps of 1, 2 or 5 · 10^n, the largest that makes at least a hundred.
 *   `[min, max, step]` has steps of its own: `[0, 10, 0.1]`. A slider starts in the middle.
 * - A list of texts is a dropdown, `true` or `false` a checkbox, a text a field whose value is taken at Enter.
 * - `pw.slider`, `pw.choice` and `pw.button` make what has no short form: another start, a dropdown of numbers, a button.
 *
 * Only one call runs at a time. If a control moves meanwhile, `signal` aborts, and after that call the newest values are
 * answered; those between are left out. Pass `signal` to long calls, so that they end at once. An interrupt of the kernel
 * ends a call too, also one that never looks at its signal.
 *
 * Pages that show it stay in step, also after a reload, as long as the kernel lives and the cell does not run again. The
 * saved notebook and the report show the last answer, with the controls as they stood. Outside a notebook `answer` is
 * called once, with the first values, and what it returns is printed.
 *
 * @throws InvalidArgument for a control that is none, or an answer that is no function
 */
export function interact<const C extends Readonly<Record<string, GivenControl>>>(
  controls: C,
  answer: (values: ValuesOf<C>, context: { readonly signal: AbortSignal }) => unknown,
): Interaction<ValuesOf<C>> {
  if (typeof answer !== 'function') throw new InvalidArgument('answer', 'a function of the values', answer);
  const given = { ...controlsOf(controls), answer: answer as (...given: never[]) => unknown };
  const show = cellHook('interact');
  if (show) return new Interaction(show(given));
  void printAnswer(() => answer(given.start as ValuesOf<C>, { signal: new AbortController().signal }));
  return new Interaction({ values: given.start, show: async () => {} });
}

async function printAnswer(answer: () => unknown): Promise<void> {
  const value = await answer();
  if (value !== undefined) display(value);
}
