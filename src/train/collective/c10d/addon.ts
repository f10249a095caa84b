/** The native part of the c10d collective as TypeScript sees it: one to one with `native/c10d.cc`. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { buildFolder, readBuildRecord } from '../../../compute/machine/toolchain';
import { UnavailableBackend } from '../../../errors';
import { packageRoot } from '../../../package';

/** A TCPStore behind a prefix; a process group. */
export type StoreHandle = object & { readonly brand?: 'store' };
export type GroupHandle = object & { readonly brand?: 'group' };

export interface C10dAddon {
  /** Whether it was built with Gloo, for ranks on CPUs. */
  readonly gloo: boolean;
  /** Whether it was built with NCCL. */
  readonly nccl: boolean;
  openStore(
    host: string,
    port: number,
    serves: boolean,
    prefix: string,
    milliseconds: number,
  ): Promise<StoreHandle>;
  /** The sum so far. */
  add(store: StoreHandle, key: string, n: number): Promise<number>;
  set(store: StoreHandle, key: string, text: string): Promise<void>;
  /** Undefined where nobody has set it. */
  get(store: StoreHandle, key: string): Promise<string | undefined>;
  closeStore(store: StoreHandle): Promise<void>;
  /** NCCL on GPU `gpu`, Gloo where that is -1. An empty interface leaves the choice to the address. */
  openGroup(
    store: StoreHandle,
    rank: number,
    size: number,
    address: string,
    gpu: number,
    milliseconds: number,
    networkInterface: string,
  ): Promise<GroupHandle>;
  /** Sums in place, overwrites with those of root, or fills the second array with everybody's first. */
  operate(
    group: GroupHandle,
    kind: 'allReduce' | 'broadcast' | 'allGather',
    arrays: readonly Float32Array[],
    root: number,
  ): Promise<void>;
  closeGroup(group: GroupHandle): Promise<void>;
}

/** Written beside the addon when it has been built. */
export interface C10dRecord {
  readonly libtorch: string;
  readonly gloo: boolean;
  readonly nccl: boolean;
  /** Why it has no NCCL, where libtorch has CUDA. */
  readonly ncclProblem?: string;
  /** What the addon depends on beside libtorch: its source. */
  readonly key: string;
}

export const c10dSource = (): string =>
  join(packageRoot(), 'src', 'train', 'collective', 'c10d', 'native', 'c10d.cc');
export const c10dFolder = (): string => join(dirname(buildFolder('libtorch')), 'c10d');
export const c10dAddonPath = (folder: string = c10dFolder()): string => join(folder, 'c10d.node');

export function c10dKey(): string {
  return createHash('sha256').update(readFileSync(c10dSource())).digest('hex').slice(0, 16);
}

/** The record of the build; undefined where there is none, it is damaged, or it is of other sources. */
export function builtC10d(): C10dRecord | undefined {
  const path = join(c10dFolder(), 'build.json');
  if (!existsSync(path) || !existsSync(c10dAddonPath())) return undefined;
  const record = readBuildRecord<C10dRecord>(path);
  return record?.key === c10dKey() ? record : undefined;
}

/** @throws UnavailableBackend, with the command that builds it */
export function loadC10d(path: string = c10dAddonPath()): C10dAddon {
  if (path === c10dAddonPath() && !builtC10d())
    throw new UnavailableBackend(
      'c10d',
      'the collective through libtorch is not built, or from other sources',
      'Run `npx patchwise backend build libtorch`, which says what it needs',
    );
  return createRequire(__filename)(path) as C10dAddon;
}
