/** The controls of an interaction on a page: draws them once, tells of moves, and follows the kernel's values. */
import {
  type Control,
  type ControlValues,
  controlsHtml,
  positionOf,
  sliderText,
  valueAt,
} from '../../../src/controls/controls';
import { keepKeys } from '../jupyter';
import type { InteractMove } from './messages';

type Field = HTMLInputElement | HTMLSelectElement | HTMLButtonElement;

export class ControlPanel {
  /** Fields whose text the reader is changing: the kernel has not heard of it yet. */
  readonly #edited = new Set<Field>();

  constructor(
    private readonly node: HTMLElement,
    private readonly controls: readonly Control[],
    values: ControlValues,
    private readonly onMove: (move: InteractMove) => void,
  ) {
    node.innerHTML = controlsHtml(controls, values, true);
    keepKeys(node);
    for (const control of controls) this.#listen(control, this.#field(control));
  }

  enable(isUsable: boolean): void {
    for (const control of this.controls) this.#field(control).disabled = !isUsable;
  }

  show(values: ControlValues): void {
    for (const control of this.controls) {
      const field = this.#field(control);
      const value = values[control.name];
      if (control.kind === 'slider') {
        field.value = String(positionOf(control, Number(value)));
        this.#tellValue(control, field, Number(value));
      } else if (control.kind === 'choice') field.value = String(control.options.indexOf(value as string));
      else if (control.kind === 'checkbox') (field as HTMLInputElement).checked = value === true;
      else if (control.kind === 'text' && !this.#edited.has(field)) field.value = String(value);
    }
  }

  #field({ name }: Control): Field {
    return this.node.querySelector(`[data-control="${CSS.escape(name)}"]`)!;
  }

  #listen(control: Control, field: Field): void {
    const set = (value: ControlValues[string]): void =>
      this.onMove({ type: 'set', values: { [control.name]: value } });
    switch (control.kind) {
      case 'slider':
        field.addEventListener('input', () => {
          const value = valueAt(control, Number(field.value));
          this.#tellValue(control, field, value);
          set(value);
        });
        break;
      case 'choice':
        field.addEventListener('change', () => set(control.options[Number(field.value)]!));
        break;
      case 'checkbox':
        field.addEventListener('change', () => set((field as HTMLInputElement).checked));
        break;
      case 'text': {
        const finish = (): void => {
          if (this.#edited.delete(field)) set(field.value);
        };
        field.addEventListener('input', () => this.#edited.add(field));
        field.addEventListener('change', finish);
        // JupyterLab keeps Enter from having its effect.
        field.addEventListener('keydown', (event) => {
          if ((event as KeyboardEvent).key === 'Enter') finish();
        });
        break;
      }
      case 'button':
        field.addEventListener('click', () => this.onMove({ type: 'press', name: control.name }));
    }
  }

  #tellValue(control: Control & { kind: 'slider' }, field: Field, value: number): void {
    const text = sliderText(control, value);
    field.setAttribute('aria-valuetext', text);
    field.nextElementSibling!.textContent = text;
  }
}
