import { spawn } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Run } from '../../src/index';
import type { Dice } from './dice';

/** The run ended before the harm hit it. On a busy machine the few milliseconds for it may pass. */
export class Missed extends Error {}

/** Does one kind of harm to a running run. @throws Missed if the run ends first */
export type Wound = (run: Run, dice: Dice) => Promise<void>;

/** Kills a random rank at a random moment. */
export const killRank: Wound = async (run, dice) => {
  const { ranks } = await run.config();
  await moment(run, dice);
  await kill(run, dice.below(ranks), 'SIGKILL');
};

/** Pauses a rank: it hangs, and the supervisor must notice. */
export const hangRank: Wound = async (run, dice) => {
  const { ranks } = await run.config();
  await moment(run, dice);
  await kill(run, dice.below(ranks), 'SIGSTOP');
};

/** Kills rank 0 while one of the first checkpoints is half-written. */
export const killInCheckpoint: Wound = async (run, dice) => {
  const folder = join(run.dir, 'checkpoints');
  const halfWritten = () =>
    existsSync(folder) && readdirSync(folder).some((name) => /^\.step-.*tmp$/.test(name));
  for (let skip = dice.below(3); skip >= 0; ) {
    const { pids, state } = await run.status();
    const pid = pids.ranks.find(({ rank }) => rank === 0)?.pid;
    // Polls without a pause, because a small model's checkpoint takes a few milliseconds.
    for (const until = Date.now() + 500; Date.now() < until; ) {
      if (!halfWritten()) continue;
      if (skip-- === 0 && pid !== undefined) {
        process.kill(pid, 'SIGKILL');
        await setTimeout(20);
        // Too late for this checkpoint; try the next one.
        if (!halfWritten()) skip = 0;
      }
      while (halfWritten() && Date.now() < until);
      break;
    }
    await setTimeout(1);
    if (state !== 'starting' && state !== 'running')
      throw new Missed('no checkpoint was caught half-written');
  }
};

export const killSupervisor: Wound = async (run, dice) => {
  await moment(run, dice);
  tryKill((await run.status()).pids.supervisor!.pid, 'SIGKILL');
};

/** Kills everything, then truncates the newest checkpoint at a random place. */
export const truncateCheckpoint: Wound = async (run, dice) => {
  await killAll(run, dice);
  const folder = join(run.dir, 'checkpoints');
  const newest = readdirSync(folder)
    .filter((name) => name.startsWith('step-'))
    .sort()
    .at(-1)!;
  const files = readdirSync(join(folder, newest));
  const file = join(folder, newest, files[dice.below(files.length)]!);
  truncateSync(file, dice.below(statSync(file).size));
};

/** Kills everything, then truncates the last line of the metrics or appends half a line. */
export const tearMetrics: Wound = async (run, dice) => {
  await killAll(run, dice);
  const path = join(run.dir, 'metrics.jsonl');
  const text = readFileSync(path, 'utf8');
  const last = text.slice(text.lastIndexOf('\n', text.length - 2) + 1);
  const cut = 1 + dice.below(last.length - 1);
  if (dice.below(2) === 0) appendFileSync(path, last.slice(0, cut));
  else truncateSync(path, Buffer.byteLength(text) - cut);
};

/** Fills the run's disk to the last byte, and frees space when the run waits for it. */
export const fillDisk: Wound = async (run, dice) => {
  await moment(run, dice);
  while (!existsSync(join(run.dir, 'metrics.jsonl'))) await setTimeout(2);
  const filler = join(run.dir, '..', 'filler');
  const file = openSync(filler, 'w');
  try {
    for (let size = 2 ** 20; size >= 1; ) {
      try {
        writeSync(file, Buffer.alloc(size, 1));
      } catch {
        size = Math.floor(size / 4);
      }
    }
  } finally {
    closeSync(file);
  }
  const logged = () => statSync(join(run.dir, 'metrics.jsonl')).size;
  for (let [before, still] = [-1, 0]; still < 15; await setTimeout(100)) {
    still = logged() === before ? still + 1 : 0;
    before = logged();
    if ((await run.status()).state === 'done') throw new Missed('the disk was not full enough');
  }
  rmSync(filler);
};

/** Kills the supervisor at a random moment after the first checkpoint, and waits until its ranks have ended. */
async function killAll(run: Run, dice: Dice): Promise<void> {
  await moment(run, dice);
  while (!existsSync(join(run.dir, 'checkpoints', 'last'))) await setTimeout(2);
  const { supervisor, ranks } = (await run.status()).pids;
  tryKill(supervisor!.pid, 'SIGKILL');
  for (const { pid } of ranks) while (tryKill(pid, 0)) await setTimeout(20);
}

/** Waits for a random moment between the start of the ranks and five steps before the end, by the metrics. */
async function moment(run: Run, dice: Dice): Promise<void> {
  const { ranks, steps } = await run.config();
  while ((await run.status()).pids.ranks.length < ranks) await setTimeout(2);
  const target = dice.below(steps! - 5);
  const path = join(run.dir, 'metrics.jsonl');
  const logged = () =>
    existsSync(path) ? readFileSync(path, 'utf8').split('"split":"train"').length - 1 : 0;
  while (target > 0 && logged() < target) await setTimeout(2);
  // Sometimes before the first step, while the ranks connect; otherwise anywhere within a step.
  await setTimeout(target > 0 ? dice.below(15) : dice.below(1000));
}

async function kill(run: Run, victim: number, signal: NodeJS.Signals): Promise<void> {
  tryKill((await run.status()).pids.ranks.find(({ rank }) => rank === victim)!.pid, signal);
}

function tryKill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Starts a run from another process, and kills that process when the run has begun. */
export async function startAndKillStarter(starter: string, options: object): Promise<string> {
  const child = spawn(process.execPath, [starter, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const dir = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (data: Buffer) => resolve(data.toString().trim()));
    child.on('exit', () => reject(new Error('the starting process ended before it had started the run')));
  });
  child.removeAllListeners('exit');
  child.kill('SIGKILL');
  return dir;
}
