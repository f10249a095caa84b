import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Level, VOLUMES_MIME, type VolumesBundle } from '../../../src/volumes-bundle';
import { readValues } from '../../plot/volume/read-level';
import { RawKernel, until } from '../raw-kernel';

let kernel: RawKernel;
beforeAll(async () => {
  kernel = await RawKernel.start();
  await kernel.execute(`import * as pw from 'patchwise';
const ct = new pw.Volume({ shape: [40, 30, 20], data: Float32Array.from({ length: 24_000 }, (_, n) => (n % 3001) - 1000) });`);
}, 60_000);
afterAll(() => kernel.stop());

type Said = { type: string; level?: Level; chunks?: number; message?: string };

/** The messages of a page that opens this view, until it has all or the view is gone. */
async function messagesFor(page: string, id: string | undefined) {
  kernel.send('shell', 'comm_open', {
    comm_id: page,
    target_name: 'patchwise.volumes',
    data: { id, most: 1e8, longest: 2048 },
  });
  const messages = () =>
    kernel.heard
      .filter(({ type, content }) => type === 'comm_msg' && content.comm_id === page)
      .map(({ content, buffers }) => ({ said: content.data as unknown as Said, buffers }));
  await until(() => messages().some(({ said }) => said.type === 'complete' || said.type === 'gone'));
  return messages();
}

/** Runs a cell of the notebook, which its front end names, and gives what it stores. */
async function show(code: string, cellId: string): Promise<VolumesBundle> {
  const { outputs } = await kernel.finished(kernel.begin(code, {}, { cellId }));
  return outputs.at(-1)!.content.data[VOLUMES_MIME] as unknown as VolumesBundle;
}

it('a volume in a cell comes to its page whole, and is gone once the cell runs again', async () => {
  const bundle = await show('ct', 'a');
  const messages = await messagesFor('page-1', bundle.id);
  expect(messages.map(({ said }) => said.type)).toEqual(['level', 'chunk', 'complete']);
  const { level } = messages[0]!.said;
  expect(level!.shape).toEqual([40, 30, 20]);
  const values = readValues(level!, messages[1]!.buffers);
  expect(values.findIndex((value, n) => value !== (n % 3001) - 1000)).toBe(-1);

  const again = await show('pw.view(ct, { window: "lung" })', 'a');
  const gone = await messagesFor('page-2', bundle.id);
  expect(gone.map(({ said }) => said.type)).toEqual(['gone']);
  expect((await messagesFor('page-3', again.id)).at(-1)!.said.type).toBe('complete');

  await show('1 + 1', 'b'); // another cell leaves it alone
  expect((await messagesFor('page-4', again.id)).at(-1)!.said.type).toBe('complete');
});

it('a volume that a cell displays by the way, and a comparison, have their pages too', async () => {
  const { outputs } = await kernel.finished(
    kernel.begin('pw.display(ct); pw.compareVolumes(ct, { same: ct })', {}, { cellId: 'c' }),
  );
  const [displayed, compared] = outputs.map(
    ({ content }) => content.data[VOLUMES_MIME] as unknown as VolumesBundle,
  );
  expect((await messagesFor('page-5', displayed!.id)).at(-1)!.said.type).toBe('complete');
  const messages = await messagesFor('page-6', compared!.id);
  expect(messages.filter(({ said }) => said.type === 'level')).toHaveLength(2);
});
