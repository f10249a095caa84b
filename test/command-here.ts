import { resolve } from 'node:path';
import { format } from 'node:util';
import { vi } from 'vitest';
import { runCommandLine } from '../src/cli/program';
import type { CommandResult } from './command';

/**
 * The command `patchwise` within this process, for what it says and refuses: another process takes half a second to start.
 * One call at a time, because a process has one working directory.
 *
 * @param folder where it is called, and below which its runs are
 * @param args what follows `patchwise` in a shell
 */
export async function runHere(folder: string, args: readonly string[]): Promise<CommandResult> {
  const [cwd, { PATCHWISE_RUNS }, listening] = [process.cwd(), process.env, listeners()];
  let [stdout, stderr] = ['', ''];
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(writer((text) => (stdout += text))),
    vi.spyOn(process.stderr, 'write').mockImplementation(writer((text) => (stderr += text))),
    // Vitest has replaced the console, whose texts would not come to those streams.
    vi.spyOn(console, 'log').mockImplementation((...said) => (stdout += `${format(...said)}\n`)),
    vi.spyOn(console, 'warn').mockImplementation((...said) => (stderr += `${format(...said)}\n`)),
    vi.spyOn(console, 'error').mockImplementation((...said) => (stderr += `${format(...said)}\n`)),
  ];
  try {
    process.chdir(folder);
    process.env.PATCHWISE_RUNS = resolve('runs');
    process.exitCode = undefined;
    await runCommandLine(args);
    return { code: Number(process.exitCode ?? 0), stdout, stderr };
  } finally {
    process.exitCode = undefined;
    process.chdir(cwd);
    if (PATCHWISE_RUNS === undefined) delete process.env.PATCHWISE_RUNS;
    else process.env.PATCHWISE_RUNS = PATCHWISE_RUNS;
    for (const spy of spies) spy.mockRestore();
    // A command that ends with its process leaves its listeners.
    for (const [signal, listener] of listeners())
      if (!listening.some(([, old]) => old === listener)) process.off(signal, listener);
  }
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Who hears the signals that end a command. */
function listeners(): (readonly [NodeJS.Signals, NodeJS.SignalsListener])[] {
  return signals.flatMap((signal) =>
    process.listeners(signal).map((listener) => [signal, listener as NodeJS.SignalsListener] as const),
  );
}

/** What stands in the place of a stream's `write`. */
function writer(take: (text: string) => void): typeof process.stdout.write {
  return (chunk: string | Uint8Array, ...more: unknown[]) => {
    take(String(chunk));
    const written = more.at(-1);
    if (typeof written === 'function') written();
    return true;
  };
}
