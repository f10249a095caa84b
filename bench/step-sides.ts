/** The processes of `bench step`, ours and PyTorch's. Each stays alive and runs steps on request. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Checkpointing, ModelConfig, Precision } from '../src/index';
import { compiledFile, packageRoot } from '../src/internal';

export type Device = 'cpu' | 'cuda';

/** The arguments of every side. */
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

/** A side's answer after its steps. */
export interface Turn {
  readonly ms: number[];
  readonly losses: number[];
  /** The code of each latent, by step. */
  readonly codes: number[][];
  /** PyTorch only: the latents of each step that took a suggested code at the same distance. */
  readonly ties?: number[];
  /** MiB above the memory with loaded weights: of the process, or of the tensors on a GPU. */
  readonly peak: number;
}

/** The ways to run PyTorch: its layouts, its bfloat16, its compiler. */
export const contiguous = 'PyTorch eager contiguous';
export const channelsLast = 'PyTorch eager channels_last_3d';
export const autocast = 'PyTorch eager channels_last_3d, bf16 autocast';
export const eager: readonly string[] = [contiguous, channelsLast, autocast];
export const compiled = 'PyTorch torch.compile, channels_last_3d';
export const compiledAutocast = 'PyTorch torch.compile, channels_last_3d, bf16 autocast';

export interface Side {
  readonly name: string;
  readonly process: ChildProcess;
  /** Settles when the side has loaded. */
  readonly ready: Promise<void>;
  readonly turns: Turn[];
  /** Why it cannot run: something it needs is missing, or memory is exhausted. */
  unable?: string;
  /** Runs some steps. PyTorch eager may get suggested codes, one set per step, and takes them if two are equally near. */
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
