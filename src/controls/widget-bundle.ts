/** A widget of a user's own as a notebook stores it, and how its bytes travel: apart from its JSON, as Jupyter's widgets do it. */

export const WIDGET_MIME = 'application/vnd.patchwise.widget+json';

export type WidgetState = Readonly<Record<string, unknown>>;

/** Where bytes belong in a state. */
export type BufferPath = readonly (string | number)[];

export interface StoredWidget {
  /** The kernel's name for it. */
  readonly id: string;
  /** The source of its module. */
  readonly esm: string;
  readonly css: string;
  readonly state: WidgetState;
  /** The bytes of the state in base64. */
  readonly buffers: readonly { readonly path: BufferPath; readonly data: string }[];
}

/** How messages call a command of the cell, in anywidget's words. */
export const COMMAND = 'anywidget-command';
export const COMMAND_RESPONSE = 'anywidget-command-response';

export interface CommandResponse {
  readonly id: unknown;
  readonly kind: typeof COMMAND_RESPONSE;
  readonly response?: unknown;
  /** Why there is no response. */
  readonly error?: string;
}

/** A state whose bytes are apart: null takes their place. */
export interface DetachedState {
  readonly state: WidgetState;
  readonly paths: readonly BufferPath[];
  readonly buffers: readonly Uint8Array[];
}

/** Takes typed arrays and other binary values out of a state. */
export function detachBuffers(state: WidgetState): DetachedState {
  const paths: BufferPath[] = [];
  const buffers: Uint8Array[] = [];
  const walk = (value: unknown, path: BufferPath): unknown => {
    const bytes = bytesOf(value);
    if (bytes) {
      paths.push(path);
      buffers.push(bytes);
      return null;
    }
    if (Array.isArray(value)) return value.map((item, at) => walk(item, [...path, at]));
    if (typeof value !== 'object' || value === null || 'toJSON' in value) return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, walk(one, [...path, name])]));
  };
  return { state: walk(state, []) as WidgetState, paths, buffers };
}

/** Puts bytes back into a state, as DataViews. Paths that lead nowhere are left out. */
export function attachBuffers(
  state: WidgetState,
  paths: readonly BufferPath[],
  buffers: readonly (ArrayBuffer | Uint8Array)[],
): WidgetState {
  const whole = structuredClone(state) as Record<string, unknown>;
  for (const [at, path] of paths.entries()) {
    if (!Array.isArray(path)) continue; // it came from a page or a file
    const bytes = bytesOf(buffers[at]);
    const place = path.slice(0, -1).reduce<unknown>((one, key) => own(one, key), whole);
    const last = path.at(-1);
    if (
      bytes &&
      last !== undefined &&
      typeof place === 'object' &&
      place !== null &&
      Object.hasOwn(place, last)
    )
      (place as Record<string | number, unknown>)[last] = viewOf(bytes);
  }
  return whole;
}

function own(value: unknown, key: string | number): unknown {
  const isPlace = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
  return isPlace ? (value as Record<string | number, unknown>)[key] : undefined;
}

/** A copy that starts at an address which any typed array may start at. */
function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.slice().buffer);
}

function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : undefined;
}
