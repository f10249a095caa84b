import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { replaceFile, syncPath } from '../../atomic-file';
import { attempt, UnreadableFile } from '../../errors';
import { makeFolder } from '../../make-folder';
import { readSafetensors, type StoredTensor, writeSafetensors } from '../../safetensors';
import type { Intensity } from '../../volume/intensity';
import type { LearnerCounters } from '../learn/learner';
import type { RunConfig } from '../settings/config';
import type { Ranked, RankingState } from './best';

/** `state.json` of a checkpoint: everything but the tensors that the next step depends on. */
export interface CheckpointState extends LearnerCounters, RankingState {
  /** Optimiser steps done. */
  readonly step: number;
  readonly epoch: number;
  /** Patches of this epoch that are done, over all ranks. */
  readonly position: number;
  readonly config: RunConfig;
  /** By volume, as the config names it. */
  readonly intensities: Readonly<Record<string, Intensity>>;
  readonly patchwise: string;
  /** How many patches a step had, and how they were shared out. */
  readonly shape?: { readonly ranks: number; readonly batch: number; readonly accumulate: number };
  /** Bytes of `metrics.jsonl` when this was written: all records up to this step. */
  readonly metricsBytes?: number;
  /** What it was trained on: numbers of patches, and a digest of each volume, in the order of `intensities`. */
  readonly data?: DataPrint;
}

/** Identifies what a run was trained on. */
export interface DataPrint {
  readonly patches: { readonly train: number; readonly validation: number };
  readonly digests: readonly string[];
}

export interface Checkpoint {
  readonly dir: string;
  readonly state: CheckpointState;
  /** Weights, codebook and its flags, as `VqGan.state()` names them. */
  readonly model: ReadonlyMap<string, StoredTensor>;
  /** Adam's moments. */
  readonly optimiser: ReadonlyMap<string, StoredTensor>;
}

export interface StateFile extends CheckpointState {
  readonly files: Readonly<Record<string, ReturnType<typeof fingerprint>>>;
  /** Of everything else in the file; absent in checkpoints from before there was one. */
  readonly sha256?: string;
}

/** Each is a file of tensors. */
const parts = ['model', 'optimiser'] as const;

/**
 * Writes `checkpoints/step-…` complete or not at all: everything goes into a folder beside it, reaches the disk and
 * is then renamed into place. Moves `last` (and `best`, if it is one) and removes what is neither theirs, nor of the
 * `keep` newest, nor in its ranking. Returns the folder.
 */
export function saveCheckpoint(
  runDir: string,
  checkpoint: Omit<Checkpoint, 'dir'>,
  options: { best: boolean; keep: number },
): string {
  const root = join(runDir, 'checkpoints');
  const name = stepName(checkpoint.state.step);
  const dir = join(root, name);
  const temporary = join(root, `.${name}.${process.pid}.tmp`);
  rmSync(temporary, { recursive: true, force: true });
  makeFolder(temporary);
  try {
    const files = parts.map((part) => {
      const file = `${part}.safetensors`;
      writeSafetensors(join(temporary, file), checkpoint[part]);
      return [file, fingerprint(join(temporary, file))] as const;
    });
    const content = { ...checkpoint.state, files: Object.fromEntries(files) };
    const state: StateFile = { ...content, sha256: digestOf(content) };
    replaceFile(join(temporary, 'state.json'), `${JSON.stringify(state, null, 2)}\n`, { durable: true });
    syncPath(temporary);
    // The one in the way is an earlier life's of the same step: the same to the bit, or damaged.
    rmSync(dir, { recursive: true, force: true });
    renameSync(temporary, dir);
    syncPath(root);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
  pointTo(root, 'last', name);
  if (options.best) pointTo(root, 'best', name);
  removeOld(runDir, options.keep, checkpoint.state.ranking ?? []);
  return dir;
}

/** Reads a checkpoint. @throws UnreadableFile if a file of it is missing, cut short or changed. */
export function readCheckpoint(dir: string): Checkpoint {
  const { files, sha256: _, ...state } = readState(dir);
  for (const [file, { bytes, sha256 }] of Object.entries(files)) {
    const path = join(dir, file);
    const found = fingerprint(path);
    const different = `${found.bytes} bytes, another content; ${damageCure}`;
    if (found.bytes !== bytes || found.sha256 !== sha256)
      throw new UnreadableFile(path, `${bytes} bytes as written`, different);
  }
  const [model, optimiser] = parts.map((part) => readSafetensors(join(dir, `${part}.safetensors`)));
  return { dir, state, model: model!, optimiser: optimiser! };
}

/** What helps where a checkpoint is damaged. */
const damageCure =
  'resuming the run goes on from the one before; other tools take the folder of another checkpoint';

/** The newest checkpoint that is whole and that `suits`. It passes over others, and warns which and why. */
export function newestCheckpoint(
  runDir: string,
  warn: (message: string) => void,
  suits: (state: CheckpointState) => boolean = () => true,
): Checkpoint | undefined {
  return newestOf(runDir, warn, (dir) => {
    const checkpoint = readCheckpoint(dir);
    if (suits(checkpoint.state)) return checkpoint;
    warn(`checkpoint ${basename(dir)} passed over: metrics.jsonl has lost records that it knew`);
    return undefined;
  });
}

/** The state of the newest checkpoint whose state can be read. */
export function newestState(runDir: string): CheckpointState | undefined {
  return newestOf(runDir, () => {}, readState);
}

/** The first that can be read of what `read` finds in the checkpoints, the newest first. */
function newestOf<T>(
  runDir: string,
  warn: (message: string) => void,
  read: (dir: string) => T | undefined,
): T | undefined {
  for (const name of checkpointsOf(runDir).reverse()) {
    const passOver = (why: string) => warn(`checkpoint ${name} passed over: ${why}`);
    const found = ifReadable(() => read(join(runDir, 'checkpoints', name)), passOver);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What is read; undefined where a file of it cannot be read, with the reason. */
function ifReadable<T>(read: () => T, tell: (why: string) => void = () => {}): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    tell(error.message);
    return undefined;
  }
}

export function checkpointDir(runDir: string, step: number): string {
  return join(runDir, 'checkpoints', stepName(step));
}

/** Removes what a killed rank left half-written. */
export function removeHalfWritten(runDir: string): void {
  const root = join(runDir, 'checkpoints');
  if (!existsSync(root)) return;
  for (const name of readdirSync(root))
    if (name.endsWith('.tmp')) rmSync(join(root, name), { recursive: true, force: true });
}

/**
 * Makes links of `last` and `best` again where a copy of the run (scp, cloud storage) has folders in their place. Such
 * a folder becomes the checkpoint that it is a copy of, unless that one is there.
 */
export function linkAgain(runDir: string): void {
  const root = join(runDir, 'checkpoints');
  for (const link of ['last', 'best']) {
    const dir = join(root, link);
    if (!lstatSync(dir, { throwIfNoEntry: false })?.isDirectory()) continue;
    const state = ifReadable(() => readState(dir));
    const name = state && stepName(state.step);
    if (name === undefined || existsSync(join(root, name))) rmSync(dir, { recursive: true });
    else renameSync(dir, join(root, name));
    if (name !== undefined) pointTo(root, link, name);
  }
}

/** `state.json` of a checkpoint. @throws UnreadableFile if it is missing or is not what was written */
export function readState(dir: string): StateFile {
  const path = join(dir, 'state.json');
  const expected = 'the state of a checkpoint';
  let state: StateFile;
  try {
    state = JSON.parse(readFileSync(path, 'utf8')) as StateFile;
  } catch (cause) {
    const found = existsSync(path) ? `text that is not JSON; ${damageCure}` : 'nothing';
    throw new UnreadableFile(path, expected, found, { cause });
  }
  if (!Number.isInteger(state?.step) || !state.files || !state.config)
    throw new UnreadableFile(path, expected, `something else; ${damageCure}`);
  const { sha256, ...content } = state;
  if (sha256 !== undefined && sha256 !== digestOf(content))
    throw new UnreadableFile(path, `${expected} as written`, `another content; ${damageCure}`);
  return state;
}

/** Of the values, however the JSON is laid out. */
function digestOf(content: object): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

function stepName(step: number): string {
  return `step-${String(step).padStart(8, '0')}`;
}

/** Names of a run's checkpoints, oldest first. */
export function checkpointsOf(runDir: string): string[] {
  const root = join(runDir, 'checkpoints');
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .filter((name) => /^step-\d+$/.test(name))
    .sort();
}

function pointTo(root: string, link: string, target: string): void {
  const temporary = join(root, `.${link}.${process.pid}.tmp`);
  rmSync(temporary, { force: true });
  symlinkSync(target, temporary, 'dir');
  renameSync(temporary, join(root, link));
}

/** The name of the checkpoint that `last` or `best` links to. */
export function linked(root: string, link: string): string | undefined {
  return attempt(() => readlinkSync(join(root, link)));
}

function removeOld(runDir: string, keep: number, ranking: readonly Ranked[]): void {
  const root = join(runDir, 'checkpoints');
  const all = checkpointsOf(runDir);
  const ranked = ranking.map(({ step }) => stepName(step));
  const needed = new Set([linked(root, 'last'), linked(root, 'best'), ...all.slice(-keep), ...ranked]);
  for (const name of all) if (!needed.has(name)) rmSync(join(root, name), { recursive: true, force: true });
}

function fingerprint(path: string): { bytes: number; sha256: string } {
  try {
    const bytes = readFileSync(path);
    return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  } catch (cause) {
    if (existsSync(path)) throw cause;
    throw new UnreadableFile(path, 'a file of a checkpoint', `nothing; ${damageCure}`, { cause });
  }
}
