/** The outputs of the cells of one notebook, as the messages of their kernel build them up. */
import { type AnswerOutput, INTERACT_MIME, type StoredInteraction } from '../../src/controls/interact-bundle';
import type { Json, Message } from '../protocol/wire';
import type { Output } from './notebook';

/** A display, and the outputs that it is one of. */
interface ShownIn {
  readonly outputs: Output[];
  readonly output: Output & { output_type: 'display_data' | 'execute_result' };
}

export class CellOutputs {
  readonly #byRequest = new Map<string, Output[]>();
  readonly #displays = new Map<string, ShownIn[]>();
  readonly #clearBeforeNext = new Set<Output[]>();

  /** Messages whose parent is `request` build up `outputs` from now on. */
  collect(request: string, outputs: Output[]): void {
    this.#byRequest.set(request, outputs);
  }

  /** Applies an iopub message. Returns the outputs that changed, or undefined. */
  apply({ header, parent, content }: Message): Output[] | undefined {
    const type = header.msg_type;
    if (type === 'update_display_data') return this.#update(content);
    const outputs = this.#byRequest.get(parent.msg_id ?? '');
    if (!outputs) return undefined;
    if (type === 'clear_output') return this.#clear(outputs, content.wait === true);
    const output = outputFrom(type, content);
    if (!output) return undefined;
    if (this.#clearBeforeNext.delete(outputs)) outputs.length = 0;
    append(outputs, output);
    const id = displayId(content);
    if (id !== undefined && 'data' in output)
      this.#displays.set(id, [...(this.#displays.get(id) ?? []), { outputs, output }]);
    return outputs;
  }

  #update(content: Json): Output[] | undefined {
    const shown = this.#displays.get(displayId(content) ?? '') ?? [];
    for (const { output } of shown) {
      output.data = content.data as Json;
      output.metadata = (content.metadata ?? {}) as Json;
    }
    return shown.at(-1)?.outputs;
  }

  #clear(outputs: Output[], wait: boolean): Output[] {
    if (wait) this.#clearBeforeNext.add(outputs);
    else outputs.length = 0;
    return outputs;
  }
}

/** The error of an answer of controls. The cell itself goes well, so that a reader can move the controls. */
export function answerError(
  outputs: readonly Output[],
): (AnswerOutput & { output_type: 'error' }) | undefined {
  for (const output of outputs) {
    const stored =
      'data' in output ? (output.data[INTERACT_MIME] as StoredInteraction | undefined) : undefined;
    const given = Array.isArray(stored?.outputs) ? stored.outputs : [];
    const error = given.find((one) => one.output_type === 'error');
    if (error) return error;
  }
  return undefined;
}

function append(outputs: Output[], output: Output): void {
  const last = outputs.at(-1);
  if (output.output_type === 'stream' && last?.output_type === 'stream' && last.name === output.name) {
    last.text = `${last.text as string}${output.text as string}`;
  } else outputs.push(output);
}

function displayId(content: Json): string | undefined {
  const { display_id } = (content.transient ?? {}) as { display_id?: unknown };
  return typeof display_id === 'string' ? display_id : undefined;
}

function outputFrom(output_type: string, content: Json): Output | undefined {
  const { name, text, execution_count: count, ename, evalue, traceback } = content;
  const bundle = { data: (content.data ?? {}) as Json, metadata: (content.metadata ?? {}) as Json };
  switch (output_type) {
    case 'stream':
      return { output_type, name: name === 'stderr' ? 'stderr' : 'stdout', text: String(text) };
    case 'display_data':
      return { output_type, ...bundle };
    case 'execute_result':
      return { output_type, execution_count: typeof count === 'number' ? count : null, ...bundle };
    case 'error':
      return {
        output_type,
        ename: String(ename),
        evalue: String(evalue),
        traceback: ((traceback ?? []) as unknown[]).map(String),
      };
    default:
      return undefined;
  }
}
