/** What the kernel and the pages say on the comm `patchwise.interact`, which a page opens with `{ id }`. */
import type { ControlValues } from '../../../src/controls/controls';
import type { AnswerOutput } from '../../../src/controls/interact-bundle';

/** From the kernel: `gone` if it does not have the interaction any more. */
export type InteractNews =
  | {
      readonly type: 'state';
      readonly values: ControlValues;
      /** The newest values have no answer yet. */
      readonly running: boolean;
      /** How many moves of this page the values include. */
      readonly seen: number;
      readonly answer: number;
      /** The outputs of that answer, with the first message that tells of it. */
      readonly outputs?: readonly AnswerOutput[];
    }
  | { readonly type: 'gone' };

/** From a page: what controls were moved to, or that a button was pressed. */
export type InteractMove =
  | { readonly type: 'set'; readonly values: ControlValues }
  | { readonly type: 'press'; readonly name: string };
