import { expect, it } from 'vitest';
import type { Output } from '../../../kernels/headless/notebook';
import { CellOutputs } from '../../../kernels/headless/outputs';
import type { Message } from '../../../kernels/protocol/wire';

it('an error may have null for its traceback', () => {
  const collected = new CellOutputs();
  const outputs: Output[] = [];
  collected.collect('1', outputs);
  const content = { ename: 'Error', evalue: 'why', traceback: null };
  collected.apply({ header: { msg_type: 'error' }, parent: { msg_id: '1' }, content } as unknown as Message);
  expect(outputs).toEqual([{ output_type: 'error', ename: 'Error', evalue: 'why', traceback: [] }]);
});
