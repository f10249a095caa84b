/** What a caller of `interact` may give for a control, and the types of the values. */
import type { Control, ControlKind, ControlValue, ControlValues } from '../controls/controls';
import { takenValue } from '../controls/controls';
import { InvalidArgument } from '../errors';

/** A control with its first value, as `slider`, `choice` and `button` make it. `T` is the type of its values. */
export class MadeControl<T extends ControlValue> {
  constructor(
    readonly control: ControlKind,
    readonly start: T,
  ) {}
}

/** `[min, max]` or `[min, max, step]` of a slider. */
export type SliderRange =
  | readonly [min: number, max: number]
  | readonly [min: number, max: number, step: number];

/** Slider, dropdown, checkbox, text, or what `slider`, `choice` and `button` make. */
export type GivenControl = SliderRange | readonly string[] | boolean | string | MadeControl<ControlValue>;

/** The type of a control's values. */
export type ValueOf<G> =
  G extends MadeControl<infer T>
    ? T
    : G extends SliderRange
      ? number
      : G extends readonly (infer Option extends string)[]
        ? Option
        : G extends boolean
          ? boolean
          : G extends string
            ? string
            : never;

/** The values of all controls by their names. */
export type ValuesOf<C> = { readonly [Name in keyof C]: ValueOf<C[Name]> };

/** A slider's first value. */
interface StartOption<T> {
  /** The first value; by default the middle of a slider and the first of a choice. */
  readonly start?: T;
}

/**
 * A slider for `interact` that starts elsewhere than in the middle: `pw.slider([0, 0.5], { start: 0.25 })`. Its steps are
 * those of the range written alone.
 */
export function slider(range: SliderRange, options: StartOption<number> = {}): MadeControl<number> {
  return sliderNamed('slider', range, options.start);
}

/**
 * A dropdown for `interact`, of texts or numbers: `pw.choice([16, 32, 64])`, or one that does not start with its first:
 * `pw.choice(pw.windowNames, { start: 'gaussian' })`.
 */
export function choice<const T extends string | number>(
  options: readonly T[],
  { start }: StartOption<NoInfer<T>> = {},
): MadeControl<T> {
  const isOption = (one: unknown): boolean => typeof one === 'string' || Number.isFinite(one);
  if (!Array.isArray(options) || options.length === 0 || !options.every(isOption))
    throw new InvalidArgument('options', 'one or more texts or finite numbers to choose from', options);
  if (start !== undefined && !options.includes(start))
    throw new InvalidArgument('start', 'one of the options', start, options);
  return new MadeControl<T>({ kind: 'choice', options }, start ?? options[0]!);
}

/**
 * A button for `interact`. Its value is how often it was pressed: 0 at first. It serves as the seed of another sample,
 * or tells whether something that takes long shall begin.
 */
export function button(label: string): MadeControl<number> {
  if (typeof label !== 'string') throw new InvalidArgument('label', 'a text', label);
  return new MadeControl<number>({ kind: 'button', label }, 0);
}

/** The controls and their first values. @throws InvalidArgument for a control that is none */
export function controlsOf(given: Readonly<Record<string, GivenControl>>): {
  readonly controls: readonly Control[];
  readonly start: ControlValues;
} {
  if (typeof given !== 'object' || given === null)
    throw new InvalidArgument('controls', 'an object of controls by name', given);
  const made = Object.entries(given).map(([name, one]) => [name, madeOf(name, one)] as const);
  return {
    controls: made.map(([name, { control }]) => ({ name, ...control })),
    start: Object.fromEntries(made.map(([name, { start }]) => [name, start])),
  };
}

const ALLOWED = [
  '[min, max]',
  '[min, max, step]',
  "['one', 'another']",
  'true or false',
  'a text',
  'pw.slider(…)',
  'pw.choice(…)',
  'pw.button(…)',
];

function madeOf(name: string, given: GivenControl): MadeControl<ControlValue> {
  if (typeof given === 'boolean') return new MadeControl({ kind: 'checkbox' }, given);
  if (typeof given === 'string') return new MadeControl({ kind: 'text' }, given);
  // Not instanceof: another copy of the package may have made it.
  if (typeof given === 'object' && given !== null && 'control' in given) return given;
  const items: readonly unknown[] = Array.isArray(given) ? given : [];
  if (items.length > 0 && items.every((item) => typeof item === 'string')) return choice(items as string[]);
  if (items.length === 2 || items.length === 3) return sliderNamed(name, items as unknown as SliderRange);
  throw new InvalidArgument(name, 'a control', given, ALLOWED);
}

/** The fewest steps of a slider that nobody gave one. */
const STEPS = 100;

function sliderNamed(name: string, range: SliderRange, start?: number): MadeControl<number> {
  const isRange = Array.isArray(range) && range.every(Number.isFinite) && range[0] < range[1];
  const [min, max, step = stepOf(min, max)] = isRange ? range : [0, 0, 0];
  if (!isRange || step <= 0)
    throw new InvalidArgument(name, '[min, max] or [min, max, step] with min < max and step > 0', range);
  if (start !== undefined && !(start >= min && start <= max))
    throw new InvalidArgument('start', `a number from ${min} to ${max}`, start);
  const control = { kind: 'slider', min, max, step } as const;
  return new MadeControl(control, takenValue(control, start ?? (min + max) / 2) as number);
}

/** 1 between integers that are further apart than 1; else the largest of 1, 2, 5 · 10^n that makes 100 steps or more. */
function stepOf(min: number, max: number): number {
  if (Number.isInteger(min) && Number.isInteger(max) && max - min > 1) return 1;
  const most = (max - min) / STEPS;
  const power = 10 ** Math.floor(Math.log10(most) + 1e-9);
  const factor = [5, 2, 1].find((one) => one * power <= most * (1 + 1e-9))!;
  return Number((factor * power).toPrecision(12));
}
