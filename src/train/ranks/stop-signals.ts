/** Signals by which launchers, terminals and systems ask a process to end. */
const stopSignals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGXCPU'] as const;
/** Signals by which Slurm and other queues announce that time is nearly over. */
const saveSignals = ['SIGUSR1', 'SIGUSR2'] as const;

/** Calls back on every signal that asks to stop, or to save and go on. Returns what ends that. */
export function onSignals(stop: () => void, save: () => void): () => void {
  for (const signal of stopSignals) process.on(signal, stop);
  for (const signal of saveSignals) process.on(signal, save);
  return () => {
    for (const signal of stopSignals) process.off(signal, stop);
    for (const signal of saveSignals) process.off(signal, save);
  };
}
