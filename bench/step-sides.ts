/** The processes of `bench step`, ours and PyTorch's: each stays, and runs steps when it is asked to. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Checkpointing, ModelConfig, Precision } from '../src/index';
import { compiledFile, packageRoot } from '../src/internal';

export type Device = 'cpu' | 'cuda';

/** What every side is given. */
export interface StepSetup {
  /** Stem of the files with the weights, the codebook and the batch. */
  readonly state: string;
  readonly config: ModelConfig;
  readonly threads: number;
  readonly device: Device;
  readonly precision: Precision;
  readonly checkpointing: Checkpointing;
  readonly learningRate: number;
  readonly clip: number;
}

/** What a side says of the steps it ran. */
export interface Turn {
  readonly ms: number[];
  readonly losses: number[];
  /** Of each step, the code of each latent. */
  readonly codes: number[][];
  /** PyTorch's: of each step, the latents that took a suggested code as near as their own. */
  readonly ties?: number[];
  /** MiB above what was there when the weights were loaded: of the process, on a GPU of tensors. */
  readonly peak: number;
}

/** PyTorch as its users run it: its layouts, its bfloat16, its compiler. */
export const contiguous = 'PyTorch eager contiguous';
export const channelsLast = 'PyTorch eager channels_last_3d';
export const autocast = 'PyTorch eager channels_last_3d, bf16 autocast';
export const eager: readonly string[] = [contiguous, channelsLast, autocast];
export const compiled = 'PyTorch torch.compile, channels_last_3d';
export const compiledAutocast = 'PyTorch torch.compile, channels_last_3d, bf16 autocast';

export interface Side {
  readonly name: string;
  readonly process: ChildProcess;
  /** Settles when it has loaded. */
  readonly ready: Promise<void>;
  readonly turns: Turn[];
  /** Why it cannot run, or no longer: what it needs is not here, or memory is out. */
  unable?: string;
  /** Runs so many steps; PyTorch eager also so many as codes are suggested for, which it takes where two are as near. */
  take(steps: number | readonly number[][]): Promise<void>;
}

export function ourSide(backend: string, setup: StepSetup): Side {
  const program = compiledFile('bench', 'step-side.js');
  const environment = { PATCHWISE_THREADS: String(setup.threads), PATCHWISE_DEVICE: setup.device };
  return side(backend, process.execPath, [program, JSON.stringify({ ...setup, backend })], environment);
}

export function peerSide(python: string, name: string, setup: StepSetup): Side {
  const program = join(packageRoot(), 'bench', 'step_peer.py');
  const args = JSON.stringify({
    ...setup,
    channelsLast: name !== contiguous,
    bf16: name === autocast || name === compiledAutocast,
    compile: name === compiled || name === compiledAutocast,
  });
  return side(name, python, [program, args], {});
}

function side(name: string, program: string, args: readonly string[], environment: NodeJS.ProcessEnv): Side {
  const env = { ...process.env, ...environment };
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], env });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${name} ended before it answered`);
    const said = JSON.parse(value) as { unable?: string };
    if (said.unable) made.unable = said.unable;
    return said;
  };
  const made: Side = {
    name,
    process: child,
    ready: answer().then(() => {}),
    turns: [],
    take: async (steps) => {
      child.stdin.write(`${JSON.stringify(steps)}\n`);
      const turn = await answer();
      if (!made.unable) made.turns.push(turn as Turn);
    },
  };
  return made;
}
