/** The processes of `bench step`, ours and PyTorch's: each stays, and runs steps when it is asked to. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { compiledFile, type ModelConfig, type Precision, packageRoot } from '../src/index';

/** What every side is given. */
export interface StepSetup {
  /** Stem of the files with the weights, the codebook and the batch. */
  readonly state: string;
  readonly config: ModelConfig;
  readonly threads: number;
  readonly precision: Precision;
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
  /** MiB above what was there when the weights were loaded. */
  readonly peak: number;
}

/** PyTorch as its users run it: its layouts, its bfloat16, its compiler. */
export const contiguous = 'PyTorch eager contiguous';
export const channelsLast = 'PyTorch eager channels_last_3d';
export const autocast = 'PyTorch eager channels_last_3d, bf16 autocast';
export const eager: readonly string[] = [contiguous, channelsLast, autocast];
export const compiled = 'PyTorch torch.compile, channels_last_3d';

export interface Side {
  readonly name: string;
  readonly process: ChildProcess;
  /** Settles when it has loaded; PyTorch's says why where it cannot run. */
  readonly ready: Promise<{ readonly unable?: string }>;
  readonly turns: Turn[];
  /** Runs so many steps; PyTorch eager also so many as codes are suggested for, which it takes where two are as near. */
  take(steps: number | readonly number[][]): Promise<Turn>;
}

export function ourSide(backend: string, setup: StepSetup): Side {
  const program = compiledFile('bench', 'step-side.js');
  return side(backend, process.execPath, [program, JSON.stringify({ ...setup, backend })]);
}

export function peerSide(python: string, name: string, setup: StepSetup): Side {
  const program = join(packageRoot(), 'bench', 'step_peer.py');
  const args = JSON.stringify({
    ...setup,
    channelsLast: name !== contiguous,
    bf16: name === autocast,
    compile: name === compiled,
  });
  return side(name, python, [program, args]);
}

function side(name: string, program: string, args: readonly string[]): Side {
  const process = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${name} ended before it answered`);
    return JSON.parse(value);
  };
  return {
    name,
    process,
    ready: answer() as Promise<{ unable?: string }>,
    turns: [],
    take: async (steps) => {
      process.stdin.write(`${JSON.stringify(steps)}\n`);
      return (await answer()) as Turn;
    },
  };
}
