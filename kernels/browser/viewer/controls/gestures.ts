/** What a mouse, fingers and keys do on the pictures. Positions are CSS pixels within the picture. */

export interface Gestures {
  /** The pointer is here, or nowhere. */
  hover(x: number | undefined, y: number): void;
  /** Puts the crosshair here. */
  place(x: number, y: number): void;
  scroll(x: number, y: number, steps: number): void;
  /** `x` and `y` say where the drag began: its picture is dragged, wherever the pointer goes. */
  window(x: number, y: number, right: number, down: number): void;
  /** As `window`. */
  move(x: number, y: number, right: number, down: number): void;
  turn(right: number, down: number): void;
  zoom(factor: number, at: readonly [x: number, y: number]): void;
  /** Shows one picture alone, or all again. */
  enlarge(x: number, y: number): void;
  isRendering(x: number, y: number): boolean;
  /** False if the key has no meaning here. */
  press(key: string): boolean;
}

type Drag = 'place' | 'window' | 'move' | 'turn';
/** A touchpad sends many small distances; a notch of a wheel is one slice. */
const NOTCH = 40;
const TOUCHPAD_STEP = 20;

export function listen(picture: HTMLElement, gestures: Gestures, signal: AbortSignal): void {
  const pointers = new Map<number, { x: number; y: number }>();
  let drag: Drag | undefined;
  let start = { x: 0, y: 0 };
  let gathered = 0;
  // A page that is scrolled by the wheel goes on where the pointer comes to lie over a picture.
  let isEngaged = false;
  const on = <K extends keyof HTMLElementEventMap>(
    type: K,
    act: (event: HTMLElementEventMap[K]) => void,
    options: AddEventListenerOptions = {},
  ): void => picture.addEventListener(type, act, { ...options, signal });
  const placeOf = (event: MouseEvent): { x: number; y: number } => {
    const box = picture.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  on('pointerdown', (event) => {
    if (event.target instanceof HTMLButtonElement) return;
    const { x, y } = placeOf(event);
    picture.setPointerCapture(event.pointerId);
    picture.focus({ preventScroll: true });
    pointers.set(event.pointerId, { x, y });
    isEngaged = true;
    start = { x, y };
    drag = dragOf(event, gestures.isRendering(x, y));
    if (drag === 'place' && pointers.size === 1) gestures.place(x, y);
    event.preventDefault();
  });
  on('pointermove', (event) => {
    const { x, y } = placeOf(event);
    if (event.movementX !== 0 || event.movementY !== 0) isEngaged = true;
    const before = pointers.get(event.pointerId);
    if (!before) {
      gestures.hover(x, y);
      return;
    }
    pointers.set(event.pointerId, { x, y });
    const [right, down] = [x - before.x, y - before.y];
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
      const distance = (point: { x: number; y: number }): number =>
        Math.hypot(point.x - other!.x, point.y - other!.y);
      gestures.zoom(distance({ x, y }) / Math.max(1, distance(before)), [
        (x + other!.x) / 2,
        (y + other!.y) / 2,
      ]);
      gestures.move(x, y, right / 2, down / 2);
    } else if (drag === 'place') gestures.place(x, y);
    else if (drag === 'turn') gestures.turn(right, down);
    else if (drag) gestures[drag](start.x, start.y, right, down);
  });
  for (const end of ['pointerup', 'pointercancel'] as const)
    on(end, (event) => {
      pointers.delete(event.pointerId);
      drag = undefined;
    });
  on('pointerleave', () => {
    if (pointers.size > 0) return;
    isEngaged = false;
    gestures.hover(undefined, 0);
  });
  on('contextmenu', (event) => {
    event.preventDefault();
    event.stopPropagation(); // JupyterLab opens its own menu all the same
  });
  on('dblclick', (event) => {
    const { x, y } = placeOf(event);
    gestures.enlarge(x, y);
  });
  on(
    'wheel',
    (event) => {
      if (!isEngaged) return;
      event.preventDefault();
      const { x, y } = placeOf(event);
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? NOTCH : 1;
      const distance = event.deltaY * lines;
      if (event.ctrlKey || event.metaKey) {
        gestures.zoom(Math.exp(-Math.sign(distance) * Math.min(0.2, Math.abs(distance) / 100)), [x, y]);
        return;
      }
      gathered = Math.sign(distance) === Math.sign(gathered) ? gathered + distance : distance;
      const isNotch = Math.abs(distance) >= NOTCH;
      const steps = isNotch ? Math.sign(distance) : Math.trunc(gathered / TOUCHPAD_STEP);
      gathered = isNotch ? 0 : gathered - steps * TOUCHPAD_STEP;
      if (steps !== 0) gestures.scroll(x, y, -steps); // up is towards the head
    },
    { passive: false },
  );
  on('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== picture) return;
    if (!gestures.press(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  });
}

function dragOf({ button, shiftKey, pointerType }: PointerEvent, isRendering: boolean): Drag | undefined {
  if (button === 2) return 'window';
  if (button === 1 || (button === 0 && shiftKey)) return 'move';
  if (button !== 0 && pointerType === 'mouse') return undefined;
  return isRendering ? 'turn' : 'place';
}
