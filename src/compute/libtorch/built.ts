/** Where the built addon is, and whether it belongs to these sources and this machine. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../package';
import type { SelfTest } from '../contract/self-test';
import { buildFolder, requireBuilt } from '../machine/toolchain';
import { torchVersion } from './locate';

/** Kept beside the addon once it has passed its test. */
export interface Build {
  readonly libtorch: string;
  /** How libtorch was found. */
  readonly from: string;
  readonly cuda: boolean;
  /** The folder of its headers. Its version is read again there: another one may have taken its place. */
  readonly headers: string;
  /** The processor it was compiled for; absent if it is that of the machine that built it. */
  readonly march?: string;
  /** A digest of the sources and the processor. */
  readonly key: string;
  readonly seconds: number;
  readonly test: SelfTest & {
    /** Whether the kernels ran on a GPU. */
    readonly cuda: boolean;
    /** Why not, in CUDA's words, if libtorch has CUDA. */
    readonly cudaProblem?: string;
    /** What is wrong if this host has GPUs that it does not use. */
    readonly warning?: string;
  };
}

export const sourceFolder = () => join(packageRoot(), 'src', 'compute', 'libtorch', 'native');

/** The sources and headers of the addon, as paths in `sourceFolder`. */
export function nativeSources(): string[] {
  const files = readdirSync(sourceFolder(), { recursive: true, encoding: 'utf8' });
  return files.filter((file) => /\.(cc|h)$/.test(file)).sort();
}

export const addonPath = (folder = buildFolder('libtorch')): string => join(folder, 'patchwise.node');

/** A digest of what makes a build stale: the sources, and the processor whose instructions it uses. */
export function buildKey(march = cpus()[0]?.model): string {
  const hash = createHash('sha256').update(`${process.arch} ${march}`);
  for (const file of nativeSources()) hash.update(file).update(readFileSync(join(sourceFolder(), file)));
  return hash.digest('hex').slice(0, 16);
}

/** The record of the build. @throws UnavailableBackend, with the command, if there is none or it is stale. */
export function requireBuild(): Build {
  return requireBuilt<Build>('libtorch', ({ key, march, headers, libtorch }) => {
    if (key !== buildKey(march)) return 'it was built from other sources or on another processor';
    const now = torchVersion(headers);
    return now === libtorch
      ? undefined
      : `it was built on libtorch ${libtorch}, and ${now ?? 'none'} is in ${headers} now`;
  });
}
