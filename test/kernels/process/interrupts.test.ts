import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { CellInterrupted, Interrupts } from '../../../kernels/process/interrupts';

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

describe('a signal on its way to runs that end by themselves meanwhile', () => {
  const forever = (interrupts: Interrupts) => () => interrupts.orInterrupted(new Promise<never>(() => {}));

  it('is not sent once only a later run is left', async () => {
    const interrupts = new Interrupts();
    await interrupts.within(async () => interrupts.ask()); // its loop asks, sees the mark, and ends
    let sent = 0;
    const send = () =>
      interrupts.gate.pass(
        () => sent++,
        () => interrupts.isStillMeant(),
        interrupts.inScript,
      );
    await send();
    interrupts.gate.take();
    expect(sent).toBe(1); // no run at all: a child that was left running may hear it
    void interrupts.within(forever(interrupts)).catch(() => {});
    await send();
    expect(sent).toBe(1);
    expect(interrupts.isStuck).toBe(false);
    interrupts.ask();
    await send();
    expect(sent).toBe(2);
    expect(interrupts.isStuck).toBe(true);
  });

  it('is waited for by the next run, which it leaves alone, as its request does', async () => {
    const interrupts = new Interrupts();
    await interrupts.within(async () => interrupts.ask());
    await interrupts.gate.pass(
      () => {},
      () => true,
      interrupts.inScript,
    );
    let hasBegun = false;
    const next = interrupts.within(() => {
      hasBegun = true;
      return forever(interrupts)();
    });
    await sleep(50);
    expect(hasBegun).toBe(false);
    expect(interrupts.gate.take()).toBe(true); // the signal comes, and is known as ours
    interrupts.answer();
    await sleep(50);
    expect(hasBegun).toBe(true);
    expect(interrupts.answer()).toBe(false); // the request
    expect(interrupts.gate.take()).toBe(false); // Ctrl-C in a terminal
    interrupts.mark();
    expect(interrupts.answer()).toBe(true);
    await expect(next).rejects.toThrow(CellInterrupted);
  });

  it('does not keep the next run for long if it is lost', async () => {
    const interrupts = new Interrupts();
    await interrupts.gate.pass(
      () => {},
      () => true,
      interrupts.inScript,
    );
    expect(await interrupts.within(async () => 'done')).toBe('done');
  });

  it('ends an earlier run that is left, and not the later one beside it', async () => {
    const interrupts = new Interrupts();
    const cell = interrupts.within(forever(interrupts));
    await interrupts.within(async () => interrupts.ask()); // an answer beside the cell ends
    let hasEnded = false;
    void interrupts.within(forever(interrupts)).catch(() => {
      hasEnded = true;
    });
    expect(interrupts.isStillMeant()).toBe(true);
    expect(interrupts.answer()).toBe(true);
    await expect(cell).rejects.toThrow(CellInterrupted);
    expect(hasEnded).toBe(false);
  });
});
