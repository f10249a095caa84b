import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { replaceFile } from '../atomic-file';
import type { BackendInfo } from '../compute/backend';
import { UnreadableFile } from '../errors';
import type { Intensity } from '../volume/intensity';
import type { RunConfig } from './config';

/** `config.json`: the whole resolved config of a run, and from its first step on what the machine made of it. */
export interface StoredConfig extends RunConfig {
  readonly id: string;
  readonly created: string;
  readonly versions: { readonly patchwise: string; readonly node: string };
  readonly resolved?: ResolvedConfig;
}

export interface ResolvedConfig {
  readonly backend: BackendInfo;
  /** By volume, as `data` names it. */
  readonly intensities: Readonly<Record<string, Intensity>>;
  readonly steps: number;
  readonly stepsPerEpoch: number;
  readonly patches: { readonly train: number; readonly validation: number };
}

/** @throws UnreadableFile if the folder is not a run's */
export function readStoredConfig(runDir: string): StoredConfig {
  const path = join(runDir, 'config.json');
  if (!existsSync(path)) throw new UnreadableFile(path, 'the config of a run', 'nothing');
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as StoredConfig;
  } catch (cause) {
    throw new UnreadableFile(path, 'JSON', 'something else', { cause });
  }
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
  const { id: _id, created: _created, versions: _versions, resolved: _resolved, ...config } = stored;
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
