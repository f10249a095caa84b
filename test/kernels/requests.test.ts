import { expect, it } from 'vitest';
import type { CellEngine } from '../../kernels/cells/engine';
import type { Message } from '../../kernels/protocol/wire';
import { answer } from '../../kernels/requests';
import type { KernelServer } from '../../kernels/server';

it('answers kernel_info once cells compile without delay', async () => {
  let isReady = false;
  let get = (): void => {};
  const ready = new Promise<void>((resolve) => {
    get = resolve;
  });
  const engine: Partial<CellEngine> = { languageVersion: '6.0', ready: () => ready };
  const request = { header: { msg_type: 'kernel_info_request' } } as Message;
  const answered = answer(request, { engine } as KernelServer).then((content) => {
    expect(isReady).toBe(true);
    return content;
  });
  await new Promise(setImmediate);
  isReady = true;
  get();
  expect(await answered).toMatchObject({
    status: 'ok',
    language_info: { name: 'typescript', version: '6.0' },
  });
});
