/** The controls of a toolbar. Each has a title, and its state can be set from outside. */

export interface Control<T> {
  readonly node: HTMLElement;
  /** Shows a state without telling it. */
  set(value: T, isEnabled?: boolean): void;
}

export function button(label: string, title: string, onPress: () => void): HTMLButtonElement {
  const node = document.createElement('button');
  node.type = 'button';
  node.textContent = label;
  node.title = title;
  node.setAttribute('aria-label', title);
  node.addEventListener('click', onPress);
  return node;
}

/** A button that stays pressed. */
export function toggle(label: string, title: string, onChange: (isOn: boolean) => void): Control<boolean> {
  const node = button(label, title, () => onChange(node.getAttribute('aria-pressed') !== 'true'));
  const set = (isOn: boolean, isEnabled = true): void => {
    node.setAttribute('aria-pressed', String(isOn));
    node.disabled = !isEnabled;
  };
  set(false);
  return { node, set };
}

/** Buttons of which one is pressed. */
export function choice<T extends string>(
  name: string,
  options: readonly (readonly [value: T, label: string, title: string])[],
  onChange: (value: T) => void,
): Control<T> {
  const node = document.createElement('div');
  node.className = 'choice';
  node.setAttribute('role', 'group');
  node.setAttribute('aria-label', name);
  const toggles = options.map(
    ([value, label, title]) => [value, toggle(label, title, () => onChange(value))] as const,
  );
  node.append(...toggles.map(([, { node }]) => node));
  const set = (chosen: T, isEnabled = true): void => {
    for (const [value, one] of toggles) one.set(value === chosen, isEnabled);
  };
  return { node, set };
}

/** A list of which one entry is chosen; undefined shows `otherwise`, which cannot be chosen. */
export function select(
  name: string,
  title: string,
  options: readonly string[],
  onChange: (at: number) => void,
  otherwise = '',
): Control<number | undefined> {
  const node = document.createElement('select');
  for (const option of options) node.add(new Option(option));
  if (otherwise) {
    const option = new Option(otherwise);
    option.disabled = true;
    option.hidden = true;
    node.add(option);
  }
  node.title = title;
  node.setAttribute('aria-label', title);
  node.addEventListener('change', () => onChange(node.selectedIndex));
  const set = (at: number | undefined, isEnabled = true): void => {
    node.selectedIndex = at ?? options.length;
    node.disabled = !isEnabled;
  };
  return { node: labelled(name, node), set };
}

export function slider(
  name: string,
  title: string,
  [min, max, step]: readonly [min: number, max: number, step: number],
  onChange: (value: number) => void,
): Control<number> {
  const node = document.createElement('input');
  Object.assign(node, { type: 'range', min, max, step, title });
  node.setAttribute('aria-label', title);
  node.addEventListener('input', () => onChange(Number(node.value)));
  const set = (value: number, isEnabled = true): void => {
    node.value = String(value);
    node.disabled = !isEnabled;
  };
  return { node: labelled(name, node), set };
}

function labelled(name: string, node: HTMLElement): HTMLElement {
  if (!name) return node;
  const label = document.createElement('label');
  label.append(name, node);
  return label;
}
