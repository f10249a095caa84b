/** The controls of `interact` as plain data: the kernel keeps their values, and pages and reports draw them by the same HTML. */
import { escapeHtml } from '../escape';

export type ControlValue = number | string | boolean;
export type ControlValues = Readonly<Record<string, ControlValue>>;

/** A control without its name. */
export type ControlKind =
  | { readonly kind: 'slider'; readonly min: number; readonly max: number; readonly step: number }
  | { readonly kind: 'choice'; readonly options: readonly (string | number)[] }
  | { readonly kind: 'checkbox' }
  | { readonly kind: 'text' }
  | { readonly kind: 'button'; readonly label: string };

export type Control = ControlKind & { readonly name: string };

/** The control's value for what a page asks for; undefined if the control cannot have it. */
export function takenValue(control: ControlKind, asked: unknown): ControlValue | undefined {
  switch (control.kind) {
    case 'slider':
      return typeof asked === 'number' && Number.isFinite(asked)
        ? valueAt(control, positionOf(control, asked))
        : undefined;
    case 'choice':
      return control.options.find((option) => option === asked);
    case 'checkbox':
      return typeof asked === 'boolean' ? asked : undefined;
    case 'text':
      return typeof asked === 'string' ? asked : undefined;
    case 'button':
      return Number.isSafeInteger(asked) ? (asked as number) : undefined;
  }
}

type Slider = ControlKind & { readonly kind: 'slider' };

/** The number of steps from the slider's least value. The last step may be a shorter one. */
export function positionOf({ min, max, step }: Slider, value: number): number {
  return value >= max ? stepsOf({ min, max, step }) : Math.max(0, Math.round((value - min) / step));
}

/** The slider's value after so many steps. */
export function valueAt({ min, max, step }: Slider, position: number): number {
  return Math.min(max, Number((min + position * step).toPrecision(12)));
}

function stepsOf({ min, max, step }: Pick<Slider, 'min' | 'max' | 'step'>): number {
  return Math.ceil((max - min) / step - 1e-9);
}

/** A slider's value with as many digits as its step has. */
export function sliderText({ min, step }: Slider, value: number): string {
  return value.toFixed(Math.max(digitsOf(min), digitsOf(step)));
}

/** Digits after the point: 2 of 0.25, 7 of 5e-7. Of 0.1 + 0.2 it is 1: what follows is rounding. */
function digitsOf(value: number): number {
  const [, digits = '', power = '0'] =
    /^-?\d+(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(Number(value.toPrecision(12)))) ?? [];
  return Math.min(Math.max(0, digits.length - Number(power)), 20);
}

/** The values in words: `overlap = 0.25, window = gaussian`. */
export function valuesText(controls: readonly Control[], values: ControlValues): string {
  const shown = controls.filter(({ kind }) => kind !== 'button');
  return shown.map(({ name }) => `${name} = ${values[name]}`).join(', ');
}

/** The controls as HTML. `data-control` holds the name of each. @param isStill no reader can use them */
export function controlsHtml(controls: readonly Control[], values: ControlValues, isStill: boolean): string {
  const still = isStill ? ' disabled' : '';
  const rows = controls.map((control) => {
    const name = escapeHtml(control.name);
    const input = inputHtml(control, values[control.name], `data-control="${name}"${still}`);
    return control.kind === 'button' ? input : `<label><span>${name}</span>${input}</label>`;
  });
  return `<div class="patchwise-controls">${rows.join('')}</div>`;
}

function inputHtml(control: Control, value: ControlValue | undefined, attributes: string): string {
  switch (control.kind) {
    case 'slider': {
      const text = sliderText(control, Number(value));
      const range = `min="0" max="${stepsOf(control)}" value="${positionOf(control, Number(value))}"`;
      return `<input type="range" ${attributes} ${range} aria-valuetext="${text}"><span aria-hidden="true">${text}</span>`;
    }
    case 'choice': {
      const options = control.options.map(
        (option, at) =>
          `<option value="${at}"${option === value ? ' selected' : ''}>${escapeHtml(String(option))}</option>`,
      );
      return `<select ${attributes}>${options.join('')}</select>`;
    }
    case 'checkbox':
      return `<input type="checkbox" ${attributes}${value === true ? ' checked' : ''}>`;
    case 'text':
      return `<input type="text" ${attributes} value="${escapeHtml(String(value))}">`;
    case 'button':
      return `<button type="button" ${attributes}>${escapeHtml(control.label)}</button>`;
  }
}

/** The look of the controls. The page gives the colours: `--controls-ink`, `-quiet`, `-field`, `-rule` and `-mark`. */
export const CONTROLS_STYLE = `
.patchwise-controls { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 6px 28px; align-items: center;
  margin: 4px 0 10px; max-width: 60rem; color: var(--controls-ink); font: 13px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.patchwise-controls label { display: grid; grid-template-columns: minmax(5.5rem, max-content) minmax(0, 1fr) 4.5rem; gap: 10px; align-items: center; min-height: 28px; }
.patchwise-controls input + span { font-variant-numeric: tabular-nums; text-align: right; }
.patchwise-controls input[type=range] { width: 100%; margin: 0; accent-color: var(--controls-mark); }
.patchwise-controls input[type=checkbox] { justify-self: start; width: 16px; height: 16px; margin: 0; accent-color: var(--controls-mark); }
.patchwise-controls select, .patchwise-controls input[type=text] { grid-column: 2 / 4; min-width: 0; }
.patchwise-controls select, .patchwise-controls input[type=text], .patchwise-controls button { box-sizing: border-box; height: 28px; padding: 0 8px; font: inherit;
  color: var(--controls-ink); background: var(--controls-field); border: 1px solid var(--controls-rule); border-radius: 3px; }
.patchwise-controls button { justify-self: start; padding: 0 14px; cursor: pointer; }
.patchwise-controls :is(input, select, button):focus-visible { outline: 2px solid var(--controls-mark); outline-offset: 1px; }
.patchwise-controls :is(input, select, button):disabled { opacity: 1; color: var(--controls-quiet); cursor: default; }
`;
