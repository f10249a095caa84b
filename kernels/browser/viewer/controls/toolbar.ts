/** The controls above the pictures. They change the view; the viewer draws it and shows its state here. */
import type { VolumesBundle } from '../../../../src/volumes-bundle';
import { planes } from '../drawing/planes';
import type { Arrangement, Comparing, View } from '../view';
import { short } from '../words';
import { button, type Control, choice, select, slider, toggle } from './inputs';

export interface Toolbar {
  readonly node: HTMLElement;
  show(view: View): void;
}

/** What the toolbar asks for. */
export interface Actions {
  change(change: Partial<View>): void;
  zoom(factor: number): void;
  reset(): void;
}

const named = { axial: 'Axial', coronal: 'Coronal', sagittal: 'Sagittal' } as const;

export function makeToolbar(bundle: VolumesBundle, actions: Actions): Toolbar {
  const node = document.createElement('div');
  node.className = 'tools';
  node.setAttribute('role', 'toolbar');
  node.setAttribute('aria-label', `Controls of ${bundle.title}`);
  const parts = bundle.kind === 'comparison' ? comparisonParts(bundle, actions) : volumeParts(actions);
  const window = windowPart(bundle, actions);
  node.append(...parts.nodes, ...window.nodes, zoomPart(actions));
  return {
    node,
    show(view) {
      parts.show(view);
      window.show(view);
    },
  };
}

interface Part {
  readonly nodes: readonly HTMLElement[];
  show(view: View): void;
}

function volumeParts({ change }: Actions): Part {
  const arrangements = choice<Arrangement>(
    'Arrangement',
    [
      ['planes', 'Three planes', 'Axial, coronal and sagittal, linked by one crosshair'],
      ...planes.map((plane) => [plane, named[plane], `The ${plane} plane alone`] as const),
      ['rendering', '3D', 'A 3D rendering beside the planes'],
    ],
    (arrangement) => change({ arrangement, isRenderingActive: arrangement === 'rendering' }),
  );
  return { nodes: [arrangements.node], show: ({ arrangement }) => arrangements.set(arrangement) };
}

function comparisonParts({ volumes }: VolumesBundle, { change }: Actions): Part {
  const names = volumes.map(({ name }) => name);
  let pair: View['pair'] = [0, 1];
  /** A volume is not compared with itself: chosen for both, the two change places. */
  const choose = (at: number, place: 0 | 1): void => {
    const other = pair[1 - place] === at ? pair[place] : pair[1 - place]!;
    change({ pair: place === 0 ? [at, other] : [other, at] });
  };
  const plane = choice(
    'Plane',
    planes.map((plane) => [plane, named[plane], `Compare ${plane} slices`] as const),
    (plane) => change({ plane }),
  );
  const comparing = choice<Comparing>(
    'Way of comparing',
    [
      ['side', 'Side by side', 'All volumes and their differences, side by side'],
      ['flicker', 'Flicker', 'Two volumes in turn in one place: keys A and B, or space'],
      ['swipe', 'Swipe', 'Two volumes in one place, left and right of a line to drag'],
    ],
    (comparing) => change({ comparing }),
  );
  const shown = choice<'A' | 'B'>(
    'Shown',
    [
      ['A', 'A', 'Show volume A (key A; space changes)'],
      ['B', 'B', 'Show volume B (key B; space changes)'],
    ],
    (letter) => change({ showsSecond: letter === 'B' }),
  );
  const first = select('A', 'Volume A of flicker and swipe', names, (at) => choose(at, 0));
  const second = select('B', 'Volume B of flicker and swipe', names, (at) => choose(at, 1));
  const overlay = toggle('Overlay', `Colour candidates by their difference from ${names[0]}`, (hasOverlay) =>
    change({ hasOverlay }),
  );
  const opacity = slider('', 'Opacity of the overlay', [0, 1, 0.05], (differenceOpacity) =>
    change({ differenceOpacity }),
  );
  const show = (view: View): void => {
    pair = view.pair;
    const isPair = view.comparing !== 'side';
    plane.set(view.plane);
    comparing.set(view.comparing);
    shown.set(view.showsSecond ? 'B' : 'A', view.comparing === 'flicker');
    first.set(view.pair[0], isPair);
    second.set(view.pair[1], isPair);
    overlay.set(view.hasOverlay);
    opacity.set(view.differenceOpacity, view.hasOverlay);
  };
  const controls: readonly Pick<Control<never>, 'node'>[] = [
    ...[plane, comparing, first, second, shown, overlay, opacity],
  ];
  return { nodes: controls.map(({ node }) => node), show };
}

function windowPart({ windows, units }: VolumesBundle, { change }: Actions): Part {
  const names = windows.map(({ label }) => label);
  const preset = select(
    'Window',
    'Window of values from black to white; drag with the right button to change it',
    names,
    (at) => {
      const { label, low, high } = windows[at]!;
      change({ preset: label, window: [low, high] });
    },
    'by hand',
  );
  const numbers = document.createElement('output');
  numbers.className = 'numbers';
  numbers.title = `Width (W) and level (L) of the window${units && `, in ${units}`}`;
  const show = ({ preset: chosen, window: [low, high] }: View): void => {
    const at = names.indexOf(chosen ?? '');
    preset.set(at < 0 ? undefined : at);
    const [width, level] = [high - low, (low + high) / 2];
    numbers.textContent = `W ${short(width)}  L ${short(Math.abs(level) < width / 1e4 ? 0 : level)}`;
  };
  return { nodes: [preset.node, numbers], show };
}

function zoomPart({ zoom, reset }: Actions): HTMLElement {
  const node = document.createElement('div');
  node.className = 'choice';
  node.append(
    button('−', 'Zoom out (also Ctrl and wheel)', () => zoom(1 / 1.25)),
    button('+', 'Zoom in (also Ctrl and wheel; drag with Shift to move)', () => zoom(1.25)),
    button('Reset', 'Crosshair, window and zoom as at the start (key R)', reset),
  );
  return node;
}
