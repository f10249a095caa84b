/** Launchers, terminals and systems send these to end a process. */
const stopSignals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGXCPU'] as const;
/** Slurm and other queues send these when time is nearly over. */
const saveSignals = ['SIGUSR1', 'SIGUSR2'] as const;

/** Calls back on each signal that asks to stop, or to save and go on. Returns a function that ends this. */
export function onSignals(stop: () => void, save: () => void): () => void {
  for (const signal of stopSignals) process.on(signal, stop);
  for (const signal of saveSignals) process.on(signal, save);
  return () => {
    for (const signal of stopSignals) process.off(signal, stop);
    for (const signal of saveSignals) process.off(signal, save);
  };
}
