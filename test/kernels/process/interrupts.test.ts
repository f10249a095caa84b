import { expect, it } from 'vitest';
import { Interrupts } from '../../../kernels/process/interrupts';

it('a request that comes after its signal leaves the next cell alone', async () => {
  const interrupts = new Interrupts();
  const forever = () => interrupts.orInterrupted(new Promise<never>(() => {}));
  const first = interrupts.within(forever);
  interrupts.ask();
  expect(interrupts.answer()).toBe(true); // the signal
  await expect(first).rejects.toThrow('interrupted');

  let isEnded = false;
  const second = interrupts.within(forever).finally(() => {
    isEnded = true;
  });
  expect(interrupts.answer()).toBe(false); // the request of the first cell
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(isEnded).toBe(false);

  interrupts.ask();
  expect(interrupts.answer()).toBe(true);
  await expect(second).rejects.toThrow('interrupted');
  expect(interrupts.answer()).toBe(true); // no cell runs: what an ended cell left waiting may be ended
});
