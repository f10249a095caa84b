/**
 * Lets several consumers walk one async source in step: an item is taken from the source when all of them have asked
 * for it, so that nothing is kept for the slowest. A consumer that stops early lets the others go on.
 */
export function share<T>(source: AsyncGenerator<T>, consumers: number): AsyncIterable<T>[] {
  let active = consumers;
  const waiting: ((result: Promise<IteratorResult<T>>) => void)[] = [];
  const advance = (): void => {
    if (waiting.length === 0 || waiting.length < active) return;
    const next = source.next();
    for (const resolve of waiting.splice(0)) resolve(next);
  };
  const leave = async (): Promise<void> => {
    active--;
    if (active === 0) await source.return(undefined);
    else advance();
  };
  return Array.from({ length: consumers }, () => ({
    [Symbol.asyncIterator](): AsyncIterator<T> {
      let left = false;
      return {
        next: () =>
          new Promise((resolve) => {
            waiting.push(resolve);
            advance();
          }),
        async return() {
          if (!left) await leave();
          left = true;
          return { done: true, value: undefined };
        },
      };
    },
  }));
}
