/** What the kernel and the pages say on the comm `patchwise.widget`, which a page opens with `{ id }`. Bytes follow as buffers. */
import type { BufferPath, WidgetState } from '../../../src/controls/widget-bundle';

/** Values that have changed, or with the kernel's first message all of them. */
export interface WidgetUpdate {
  readonly type: 'update';
  readonly state: WidgetState;
  readonly buffer_paths: readonly BufferPath[];
}

/** From either side: a change, or what the widget's own code has to say. From the kernel: it does not have the widget any more. */
export type WidgetMessage =
  | WidgetUpdate
  | { readonly type: 'custom'; readonly content: unknown }
  | { readonly type: 'gone' };
