import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { replaceFile } from '../../atomic-file';
import { InvalidArgument, UnreadableFile } from '../../errors';
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
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
  /** Of everything else in the file; absent in checkpoints from before there was one. */
  readonly sha256?: string;
}

const tensorFiles = { model: 'model.safetensors', optimiser: 'optimiser.safetensors' } as const;

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
    const files: Record<string, { bytes: number; sha256: string }> = {};
    for (const [part, file] of Object.entries(tensorFiles)) {
      writeSafetensors(join(temporary, file), checkpoint[part as keyof typeof tensorFiles]);
      files[file] = fingerprint(join(temporary, file));
    }
    const content = { ...checkpoint.state, files };
    const state: StateFile = { ...content, sha256: digestOf(content) };
    replaceFile(join(temporary, 'state.json'), `${JSON.stringify(state, null, 2)}\n`, { durable: true });
    syncFolder(temporary);
    // The one in the way is an earlier life's of the same step: the same to the bit, or damaged.
    rmSync(dir, { recursive: true, force: true });
    renameSync(temporary, dir);
    syncFolder(root);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
  pointTo(root, 'last', name);
  if (options.best) pointTo(root, 'best', name);
  removeOld(root, options.keep, checkpoint.state.ranking ?? []);
  return dir;
}

/**
 * Folder of a run's `last` or `best` checkpoint; the newest that is there, where the last is gone.
 * @throws InvalidArgument if there is none yet
 */
export function findCheckpoint(runDir: string, which: 'last' | 'best' = 'last'): string {
  const root = join(runDir, 'checkpoints');
  const isThere = (name: string) => existsSync(join(root, name, 'state.json'));
  const target = linked(root, which);
  // In a copy of the run the link may have become a folder (scp, cloud storage).
  if (isThere(target ?? which)) return join(root, target ?? which);
  const newest = stepFolders(root).filter(isThere).at(-1);
  if (which === 'last' && newest !== undefined) return join(root, newest);
  const found = target === undefined ? 'none yet' : `${target}, which is gone`;
  throw new InvalidArgument('checkpoint', `a ${which} checkpoint in ${root}`, found);
}

/**
 * Finds and reads a checkpoint of a run that may be training. If a newer checkpoint has replaced it meanwhile, it tries
 * again.
 */
export function whileRotating<T>(read: () => T): T {
  for (let tries = 1; ; tries++) {
    try {
      return read();
    } catch (error) {
      const isGone = error instanceof UnreadableFile && !existsSync(dirname(error.path));
      if (!isGone || tries === 20) throw error;
    }
  }
}

/** Reads a checkpoint. @throws UnreadableFile if a file of it is missing, cut short or changed. */
export function readCheckpoint(dir: string): Checkpoint {
  const { files, sha256: _, ...state } = readState(dir);
  for (const [file, expected] of Object.entries(files)) {
    const path = join(dir, file);
    const found = fingerprint(path);
    if (found.bytes !== expected.bytes || found.sha256 !== expected.sha256)
      throw new UnreadableFile(
        path,
        `${expected.bytes} bytes as written`,
        `${found.bytes} bytes, another content; ${damageCure}`,
      );
  }
  const [model, optimiser] = [tensorFiles.model, tensorFiles.optimiser].map((file) =>
    readSafetensors(join(dir, file)),
  );
  return { dir, state, model: model!, optimiser: optimiser! };
}

/** What helps where a checkpoint is damaged. */
const damageCure =
  'resuming the run goes on from the one before; other tools take the folder of another checkpoint';

/**
 * The newest checkpoint that is whole and that `suits`. It passes over others, and warns which and why.
 */
export function newestCheckpoint(
  runDir: string,
  warn: (message: string) => void,
  suits: (state: CheckpointState) => boolean = () => true,
): Checkpoint | undefined {
  const root = join(runDir, 'checkpoints');
  for (const name of stepFolders(root).reverse()) {
    try {
      const checkpoint = readCheckpoint(join(root, name));
      if (suits(checkpoint.state)) return checkpoint;
      warn(`checkpoint ${name} passed over: metrics.jsonl has lost records that it knew`);
    } catch (error) {
      if (!(error instanceof UnreadableFile)) throw error;
      warn(`checkpoint ${name} passed over: ${error.message}`);
    }
  }
  return undefined;
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
    const name = stepOf(dir);
    if (name === undefined || existsSync(join(root, name))) rmSync(dir, { recursive: true });
    else renameSync(dir, join(root, name));
    if (name !== undefined) pointTo(root, link, name);
  }
}

/** Name of the checkpoint in a folder; undefined where its state cannot be read. */
function stepOf(dir: string): string | undefined {
  try {
    return stepName(readState(dir).step);
  } catch (error) {
    if (error instanceof UnreadableFile) return undefined;
    throw error;
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
  if (
    typeof state !== 'object' ||
    state === null ||
    !Number.isInteger(state.step) ||
    !state.files ||
    !state.config
  )
    throw new UnreadableFile(path, expected, `something else; ${damageCure}`);
  const { sha256, ...content } = state;
  if (sha256 !== undefined && sha256 !== digestOf(content))
    throw new UnreadableFile(path, `${expected} as written`, `another content; ${damageCure}`);
  return state;
}

/** The state of the newest checkpoint whose state can be read. */
export function newestState(runDir: string): CheckpointState | undefined {
  const root = join(runDir, 'checkpoints');
  for (const name of stepFolders(root).reverse()) {
    try {
      return readState(join(root, name));
    } catch (error) {
      if (!(error instanceof UnreadableFile)) throw error;
    }
  }
  return undefined;
}

/** Of the values, however the JSON is laid out. */
function digestOf(content: object): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

function stepName(step: number): string {
  return `step-${String(step).padStart(8, '0')}`;
}

/** Names of the checkpoints in a folder, oldest first. */
function stepFolders(root: string): string[] {
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

function linked(root: string, link: string): string | undefined {
  try {
    return readlinkSync(join(root, link));
  } catch {
    return undefined;
  }
}

function removeOld(root: string, keep: number, ranking: readonly Ranked[]): void {
  const needed = new Set([
    ...[linked(root, 'last'), linked(root, 'best')],
    ...stepFolders(root).slice(-keep),
    ...ranking.map(({ step }) => stepName(step)),
  ]);
  for (const name of stepFolders(root))
    if (!needed.has(name)) rmSync(join(root, name), { recursive: true, force: true });
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

function syncFolder(dir: string): void {
  const folder = openSync(dir, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
