import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { replaceFile } from '../../atomic-file';
import type { BackendInfo } from '../../compute/use-backend';
import { attempt, UnreadableFile } from '../../errors';
import { makeFolder } from '../../make-folder';
import { isMapping } from '../../setting';
import type { Intensity } from '../../volume/intensity';
import type { Oddity } from '../../volume/prepare/oddities';
import type { LeftOut } from '../../volume/store/format';
import type { RunConfig } from '../settings/config';
import { newestState } from './checkpoint';

/** `config.json`: the whole resolved config of a run, and from its first step on what the machine made of it. */
export interface StoredConfig extends RunConfig {
  readonly id: string;
  readonly created: string;
  readonly versions: { readonly patchwise: string; readonly node: string };
  /** What was found in its data before its ranks started. */
  readonly looked?: {
    /** Files that are not used, and why. */
    readonly leftOut: readonly LeftOut[];
    /** What is odd about the others. */
    readonly oddities: readonly Oddity[];
    /** Which DICOM series is used of each patient, and which are not. */
    readonly notes: readonly string[];
  };
  readonly resolved?: ResolvedConfig;
  /** The last time that somebody resumed it. */
  readonly resumed?: {
    /** Step of its newest checkpoint then. */
    readonly from: number;
    /** Other data or settings than those of that checkpoint are meant. */
    readonly acceptChanges?: boolean;
  };
}

interface ResolvedConfig {
  readonly backend: BackendInfo;
  /** By volume, as `data` names it. */
  readonly intensities: Readonly<Record<string, Intensity>>;
  readonly steps: number;
  readonly stepsPerEpoch: number;
  readonly patches: { readonly train: number; readonly validation: number };
}

/**
 * The config of a run. Where `config.json` is missing or damaged, that of the newest checkpoint.
 * @throws UnreadableFile if there is neither
 */
export function readStoredConfig(runDir: string): StoredConfig {
  const path = join(runDir, 'config.json');
  let stored: StoredConfig;
  try {
    stored = parseConfig(readFileSync(path, 'utf8'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== undefined && code !== 'ENOENT') throw cause;
    const state = newestState(runDir);
    const found = code ? 'nothing' : 'something else';
    const nowhere = `${found}, and no checkpoint has it either`;
    if (!state) throw new UnreadableFile(path, 'the config of a run', nowhere, { cause });
    const versions = { patchwise: state.patchwise, node: process.version };
    stored = { id: basename(runDir), created: '', versions, ...state.config };
    console.warn(`${path}: ${found}; the config of the newest checkpoint is used`);
  }
  if (!Array.isArray(stored.data)) return stored;
  return { ...stored, data: stored.data.map((source) => ownData(runDir, stored.id, source)) };
}

/** What `config.json` holds. @throws SyntaxError if it is no JSON object: a power cut may leave anything */
export function parseConfig(text: string): StoredConfig {
  const value: unknown = JSON.parse(text);
  if (!isMapping(value)) throw new SyntaxError('not a JSON object');
  return value as unknown as StoredConfig;
}

/** Volumes that a run keeps in its own folder are there, wherever the folder has been moved. */
function ownData(runDir: string, id: string, source: string): string {
  const [, folder, file] = /([^/\\]+)[/\\]data[/\\]([\w-]+\.nii)$/.exec(source) ?? [];
  const own = join(runDir, 'data', file ?? '');
  return folder === id && existsSync(own) ? own : source;
}

export function writeStoredConfig(runDir: string, config: StoredConfig): void {
  replaceFile(join(runDir, 'config.json'), `${JSON.stringify(config, null, 2)}\n`, { durable: true });
}

/** Files of a run. Two of them make a run's folder, so that a run whose status or config is lost is still seen. */
const parts = ['config.json', 'status.json', 'metrics.jsonl', 'logs/supervisor.log', 'logs/rank-0.log'];

export function isRunFolder(dir: string): boolean {
  return parts.filter((part) => existsSync(join(dir, part))).length >= 2;
}

export function metricsPath(runDir: string): string {
  return join(runDir, 'metrics.jsonl');
}

/** The settings of a run alone, without the other entries of its `config.json`. */
export function settingsOf(stored: StoredConfig): RunConfig {
  const { id: _id, created: _created, versions: _versions, ...rest } = stored;
  const { looked: _looked, resolved: _resolved, resumed: _resumed, ...config } = rest;
  return config;
}

/** Where runs go: PATCHWISE_RUNS, else `runs` beside the nearest package.json above the working folder, else `./runs`. */
export function runsRoot(): string {
  if (process.env.PATCHWISE_RUNS) return resolve(process.env.PATCHWISE_RUNS);
  let project = process.cwd();
  while (!existsSync(join(project, 'package.json')) && dirname(project) !== project)
    project = dirname(project);
  const isProject = existsSync(join(project, 'package.json'));
  return join(isProject ? project : process.cwd(), 'runs');
}

/** How many folders of runs are remembered. */
const MOST_ROOTS = 50;

/**
 * Remembers a folder of runs in the user's cache, so that an id finds its run from any folder. Nothing depends on it: if
 * it cannot be written, an id is looked up in one folder.
 */
export function rememberRunsRoot(root: string): void {
  const known = knownRunsRoots();
  if (known[0] === root || /\n/.test(root)) return;
  const roots = [root, ...known.filter((other) => other !== root)].slice(0, MOST_ROOTS);
  try {
    makeFolder(dirname(rootsPath()));
    replaceFile(rootsPath(), `${roots.join('\n')}\n`);
  } catch {
    // A home that cannot be written to: the run goes on without.
  }
}

/** The folders of runs that are remembered and still there, the latest first. */
export function knownRunsRoots(): string[] {
  const roots = attempt(() => readFileSync(rootsPath(), 'utf8').split('\n')) ?? [];
  return roots.filter((root) => root !== '' && existsSync(root));
}

function rootsPath(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'patchwise', 'runs-folders');
}
