/**
 * A function that loads a script once. After a failure the next call tries again.
 * @param begin called before the script runs; returns what takes its library from the page, called after it ran or failed
 */
export function loadedOnce<T>(address: string, begin: () => () => T): () => Promise<T> {
  let loading: Promise<T> | undefined;
  const load = () =>
    new Promise<T>((resolve, reject) => {
      const take = begin();
      const script = document.createElement('script');
      script.src = address;
      script.onload = () => resolve(take());
      script.onerror = () => {
        take();
        loading = undefined;
        reject(new Error(`${address} could not be loaded: run "patchwise kernel install" again`));
      };
      document.head.appendChild(script);
    });
  return () => {
    loading ??= load();
    return loading;
  };
}
