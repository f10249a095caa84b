import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { replaceFile } from '../../atomic-file';
import type { BackendInfo } from '../../compute/use-backend';
import { UnreadableFile } from '../../errors';
import type { Intensity } from '../../volume/intensity';
import type { RunConfig } from '../settings/config';
import { newestState } from './checkpoint';

/** `config.json`: the whole resolved config of a run, and from its first step on what the machine made of it. */
export interface StoredConfig extends RunConfig {
  readonly id: string;
  readonly created: string;
  readonly versions: { readonly patchwise: string; readonly node: string };
  readonly resolved?: ResolvedConfig;
  /** The last time that somebody resumed it. */
  readonly resumed?: {
    /** Step of its newest checkpoint then. */
    readonly from: number;
    /** Other data or settings than those of that checkpoint are meant. */
    readonly acceptChanges?: boolean;
  };
}

export interface ResolvedConfig {
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
  let stored: StoredConfig | undefined;
  try {
    stored = parseConfig(readFileSync(path, 'utf8'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== undefined && code !== 'ENOENT') throw cause;
    stored = configOfCheckpoint(runDir);
    const found = code ? 'nothing' : 'something else';
    if (!stored)
      throw new UnreadableFile(path, 'the config of a run', `${found}, and no checkpoint has it either`, {
        cause,
      });
    console.warn(`${path}: ${found}; the config of the newest checkpoint is used`);
  }
  if (!Array.isArray(stored.data)) return stored;
  return { ...stored, data: stored.data.map((source) => ownData(runDir, stored.id, source)) };
}

/** What `config.json` holds. @throws SyntaxError if it is no JSON object: a power cut may leave anything */
export function parseConfig(text: string): StoredConfig {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new SyntaxError('not a JSON object');
  return value as StoredConfig;
}

function configOfCheckpoint(runDir: string): StoredConfig | undefined {
  const state = newestState(runDir);
  if (!state) return undefined;
  const versions = { patchwise: state.patchwise, node: process.version };
  return { id: basename(runDir), created: '', versions, ...state.config };
}

/** Volumes that a run keeps in its own folder are there, wherever the folder has been moved. */
function ownData(runDir: string, id: string, source: string): string {
  const [, folder, file] = /([^/\\]+)[/\\]data[/\\](volume-\d+\.nii)$/.exec(source) ?? [];
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

/** The only settings of a run, without what the folder adds to them. */
export function settingsOf(stored: StoredConfig): RunConfig {
  const { id: _id, created: _created, versions: _versions, ...rest } = stored;
  const { resolved: _resolved, resumed: _resumed, ...config } = rest;
  return config;
}

/** Where runs go: PATCHWISE_RUNS, else `runs` beside the nearest package.json above the working folder, else `./runs`. */
export function runsRoot(): string {
  if (process.env.PATCHWISE_RUNS) return resolve(process.env.PATCHWISE_RUNS);
  const project = folderAbove(process.cwd(), (dir) => existsSync(join(dir, 'package.json')));
  return join(project ?? process.cwd(), 'runs');
}

function folderAbove(start: string, matches: (dir: string) => boolean): string | undefined {
  for (let dir = resolve(start); ; dir = dirname(dir)) {
    if (matches(dir)) return dir;
    if (dirname(dir) === dir) return undefined;
  }
}
