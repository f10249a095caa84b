import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { RunFailed } from '../../errors';
import { makeFolder } from '../../make-folder';
import { compiledFile, nodeArguments } from '../../package';
import { identify, signalProcess } from '../../process-identity';
import { afterSeconds } from '../../timer';
import { type StoredConfig, writeStoredConfig } from '../record/run-folder';
import { logEnd } from '../record/run-logs';
import { processesOf, readStatus, whereWeAre, writeStatus } from '../record/status';
import { type Claim, claimRun, claimVariable } from './claim';

/** Seconds that a supervisor gets to start, on a busy machine with a slow disk. */
const patience = 300;

/**
 * Starts a run's supervisor as an independent process, with its own session and its output in the run's logs. `config`
 * replaces the stored one. Returns once the supervisor says that it runs, or is stopped.
 * @throws RunFailed with the end of its log if it does not come up, and then nothing of it is left; InvalidArgument if
 * another process has the run
 */
export async function launchSupervisor(runDir: string, id: string, config?: StoredConfig): Promise<void> {
  const claim = await claimRun(runDir, 'launcher');
  const problem = await start(runDir, claim, config).catch(async (error) => {
    await claim.release();
    throw error;
  });
  if (problem === undefined) return;
  await claim.release();
  const status = readStatus(runDir);
  if (status.state === 'stopped' || status.state === 'done') return;
  const said = logEnd(join(runDir, 'logs', 'supervisor.log'), 2 ** 16)
    .text.trim()
    .split('\n')
    .slice(-5);
  const error = `its supervisor did not come up (${problem}): ${said.join('\n')}`;
  writeStatus(runDir, { ...status, state: 'failed', error });
  throw new RunFailed(id, 'failed', error);
}

/** Returns what is wrong if the supervisor ends before it runs, or takes too long. */
async function start(runDir: string, claim: Claim, config?: StoredConfig): Promise<string | undefined> {
  if (config) writeStoredConfig(runDir, config);
  const { error: _, note: _note, ...before } = readStatus(runDir);
  // Ranks whose supervisor was killed may still write.
  for (const left of processesOf(before)) signalProcess(left, 'SIGKILL');
  makeFolder(join(runDir, 'logs'));
  const log = openSync(join(runDir, 'logs', 'supervisor.log'), 'a');
  const program = compiledFile('src', 'train', 'ranks', 'main.js');
  const supervisor = spawn(process.execPath, nodeArguments(program, 'supervise', '--run', runDir), {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    env: { ...process.env, [claimVariable]: claim.token },
  });
  closeSync(log);
  const identity = supervisor.pid === undefined ? undefined : identify(supervisor.pid);
  if (identity) {
    // From now on, `stop` finds this process.
    const pids = { supervisor: identity, ranks: [] };
    const { steps = before.steps } = config ?? {};
    writeStatus(runDir, { ...before, ...whereWeAre(), state: 'starting', steps, pids });
    claim.handTo(identity);
  }
  const problem = await comesUp(supervisor);
  if (identity && problem !== undefined) signalProcess(identity, 'SIGKILL', true);
  if (supervisor.connected) supervisor.disconnect();
  supervisor.unref();
  return problem;
}

function comesUp(supervisor: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    const settle = (problem?: string) => {
      endPatience();
      resolve(problem);
    };
    const endPatience = afterSeconds(patience, () => settle(`no answer within ${patience} s`));
    supervisor.once('message', () => settle());
    supervisor.once('error', (error) => settle(error.message));
    supervisor.once('exit', (code, signal) => settle(signal ?? `exit code ${code}`));
  });
}
