/** The call of a command of the cell from a widget's module, as anywidget's front-end contract has it: `experimental.invoke`. */
import { COMMAND, COMMAND_RESPONSE, type CommandResponse } from '../../../src/controls/widget-bundle';
import type { WidgetModel } from './model';

interface InvokeOptions {
  readonly buffers?: readonly (ArrayBuffer | ArrayBufferView)[];
  /** By default the call fails after 3 seconds. */
  readonly signal?: AbortSignal;
}

const PATIENCE_MS = 3000;
let calls = 0;

/** @returns the response and its bytes */
export function invoke(
  model: WidgetModel,
  name: string,
  message?: unknown,
  { buffers = [], signal = AbortSignal.timeout(PATIENCE_MS) }: InvokeOptions = {},
): Promise<[unknown, DataView[]]> {
  const id = `${Date.now()}-${++calls}-${Math.random()}`; // all pages hear the response
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      model.off('msg:custom', hear);
      signal.removeEventListener('abort', abort);
      settle();
    };
    const abort = (): void => finish(() => reject(signal.reason));
    const hear = (content: unknown, views: unknown): void => {
      const answer = content as CommandResponse | undefined;
      if (answer?.kind !== COMMAND_RESPONSE || answer.id !== id) return;
      const { response, error } = answer;
      finish(() =>
        error === undefined ? resolve([response, views as DataView[]]) : reject(new Error(error)),
      );
    };
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener('abort', abort);
    model.on('msg:custom', hear);
    model.send({ id, kind: COMMAND, name, msg: message }, undefined, buffers);
  });
}
