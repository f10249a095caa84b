/** An interaction as a notebook stores it: the controls as they stood, and the last answer. */
import { type Control, type ControlValues, valuesText } from './controls';

type MimeBundle = Record<string, unknown>;

export const INTERACT_MIME = 'application/vnd.patchwise.interact+json';

/** What an answer puts out, in the form in which notebooks store the outputs of a cell. */
export type AnswerOutput =
  | { readonly output_type: 'stream'; readonly name: 'stdout' | 'stderr'; readonly text: string }
  | {
      readonly output_type: 'display_data';
      readonly data: Readonly<MimeBundle>;
      readonly metadata: Readonly<Record<string, unknown>>;
    }
  | {
      readonly output_type: 'error';
      readonly ename: string;
      readonly evalue: string;
      readonly traceback: readonly string[];
    };

export interface StoredInteraction {
  /** The kernel's name for it. */
  readonly id: string;
  readonly controls: readonly Control[];
  readonly values: ControlValues;
  /** The number of the last answer, and what it put out. */
  readonly answer: number;
  readonly outputs: readonly AnswerOutput[];
}

/** Front ends without our extension show one of these: the last picture, table or text of the answer. */
const STILLS = ['image/svg+xml', 'image/png', 'text/html', 'text/markdown', 'text/latex'];

/** What the output of the cell holds. */
export function interactionBundle(stored: StoredInteraction): MimeBundle {
  const { controls, values, outputs } = stored;
  const last = outputs.findLast((output) => output.output_type === 'display_data')?.data ?? {};
  const still = STILLS.filter((type) => type in last).map((type) => [type, last[type]]);
  const texts = outputs.map((output) => {
    if (output.output_type === 'stream') return output.text.trimEnd();
    if (output.output_type === 'error') return `${output.ename}: ${output.evalue}`;
    return String(output.data['text/plain'] ?? '');
  });
  const text = [valuesText(controls, values), ...texts].filter(Boolean).join('\n');
  return { [INTERACT_MIME]: stored, ...Object.fromEntries(still), 'text/plain': text };
}
