import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunFailed } from '../errors';
import { compiledFile } from '../package';
import { hasEnded, readStatus, writeStatus } from './status';

/**
 * Starts a run's supervisor as a process that does not depend on this one: a session of its own, its output in the
 * run's logs, not waited for. Returns once it has written that it is there.
 * @throws RunFailed with the end of its log if it does not come up
 */
export async function launchSupervisor(runDir: string, id: string): Promise<void> {
  mkdirSync(join(runDir, 'logs'), { recursive: true });
  const logPath = join(runDir, 'logs', 'supervisor.log');
  const log = openSync(logPath, 'a');
  const supervisor = spawn(
    process.execPath,
    [compiledFile('src', 'train', 'process.js'), 'supervise', '--run', runDir],
    {
      detached: true,
      stdio: ['ignore', log, log],
    },
  );
  closeSync(log);
  let gone: string | undefined;
  supervisor.on('error', (error) => {
    gone = error.message;
  });
  supervisor.on('exit', (code, signal) => {
    gone = signal ?? `exit code ${code}`;
  });
  supervisor.unref();
  for (const deadline = Date.now() + 30_000; ; ) {
    const { pids } = readStatus(runDir);
    if (pids.supervisor?.pid === supervisor.pid) return;
    if (gone !== undefined || Date.now() > deadline) {
      if (hasEnded(readStatus(runDir)) && gone === 'exit code 0') return;
      const said = readFileSync(logPath, 'utf8').trim().split('\n').slice(-5).join('\n');
      const error = `its supervisor did not come up (${gone ?? 'no answer'}): ${said}`;
      writeStatus(runDir, { ...readStatus(runDir), state: 'failed', error });
      throw new RunFailed(id, 'failed', error);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
