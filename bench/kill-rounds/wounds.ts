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

/** The run ended before the harm could hit it: on a busy machine the few milliseconds pass unseen. */
export class Missed extends Error {}

/** Does one kind of harm to a run that is under way. @throws Missed */
export type Wound = (run: Run, dice: Dice) => Promise<void>;

/** Kills any one rank, at any moment from its start to its end. */
export const killRank: Wound = async (run, dice) => {
  const { ranks } = await run.config();
  await moment(run, dice);
  await kill(run, dice.below(ranks), 'SIGKILL');
};

/** Stops a rank without ending it: it hangs, and the supervisor has to find out. */
export const hangRank: Wound = async (run, dice) => {
  const { ranks } = await run.config();
  await moment(run, dice);
  await kill(run, dice.below(ranks), 'SIGSTOP');
};

/** Kills rank 0 while a checkpoint is half-written, one of the first few. */
export const killInCheckpoint: Wound = async (run, dice) => {
  const folder = join(run.dir, 'checkpoints');
  const halfWritten = () =>
    existsSync(folder) && readdirSync(folder).some((name) => /^\.step-.*tmp$/.test(name));
  for (let skip = dice.below(3); skip >= 0; ) {
    const { pids, state } = await run.status();
    const pid = pids.ranks.find(({ rank }) => rank === 0)?.pid;
    // Looks without a break: a checkpoint of a small model takes a few milliseconds.
    for (const until = Date.now() + 500; Date.now() < until; ) {
      if (!halfWritten()) continue;
      if (skip-- === 0 && pid !== undefined) {
        process.kill(pid, 'SIGKILL');
        await setTimeout(20);
        // It was too quick for us: the next one.
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

/** Kills everything, then cuts the newest checkpoint short somewhere. */
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

/** Kills everything, then tears the last line of the metrics, or leaves half of one more. */
export const tearMetrics: Wound = async (run, dice) => {
  await killAll(run, dice);
  const path = join(run.dir, 'metrics.jsonl');
  const text = readFileSync(path, 'utf8');
  const last = text.slice(text.lastIndexOf('\n', text.length - 2) + 1);
  const cut = 1 + dice.below(last.length - 1);
  if (dice.below(2) === 0) appendFileSync(path, last.slice(0, cut));
  else truncateSync(path, Buffer.byteLength(text) - cut);
};

/** Fills the run's disk to the last byte at some moment, and makes room again once the run stands still for it. */
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

/** Once there is a checkpoint, at some moment kills the supervisor, and waits until its ranks have gone with it. */
async function killAll(run: Run, dice: Dice): Promise<void> {
  await moment(run, dice);
  while (!existsSync(join(run.dir, 'checkpoints', 'last'))) await setTimeout(2);
  const { supervisor, ranks } = (await run.status()).pids;
  tryKill(supervisor!.pid, 'SIGKILL');
  for (const { pid } of ranks) while (tryKill(pid, 0)) await setTimeout(20);
}

/** Any moment between the start of the ranks and five steps from the end: by the metrics, for machines differ. */
async function moment(run: Run, dice: Dice): Promise<void> {
  const { ranks, steps } = await run.config();
  while ((await run.status()).pids.ranks.length < ranks) await setTimeout(2);
  const target = dice.below(steps! - 5);
  const path = join(run.dir, 'metrics.jsonl');
  const logged = () =>
    existsSync(path) ? readFileSync(path, 'utf8').split('"split":"train"').length - 1 : 0;
  while (target > 0 && logged() < target) await setTimeout(2);
  // Before the first step too, while the ranks still find one another; and anywhere within a step.
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

/** Starts a run from a process of its own, and kills that one as soon as the run has begun. */
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
