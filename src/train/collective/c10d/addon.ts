/** The native part of the c10d collective as TypeScript sees it: one to one with `native/c10d.cc`. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { buildFolder, builtRecord } from '../../../compute/machine/toolchain';
import { UnavailableBackend } from '../../../errors';
import { packageRoot } from '../../../package';

/** A TCPStore behind a prefix; a process group. */
export type StoreHandle = object & { readonly brand?: 'store' };
export type GroupHandle = object & { readonly brand?: 'group' };

export type OperationKind = 'allReduce' | 'broadcast' | 'allGather';

export interface C10dAddon {
  /** How many GPUs NCCL can use here; 0 without NCCL. */
  gpus(): Promise<number>;
  openStore(host: string, port: number, serves: boolean, prefix: string, ms: number): Promise<StoreHandle>;
  /** The sum so far. */
  add(store: StoreHandle, key: string, n: number): Promise<number>;
  set(store: StoreHandle, key: string, text: string): Promise<void>;
  /** Undefined if nobody has set it. */
  get(store: StoreHandle, key: string): Promise<string | undefined>;
  closeStore(store: StoreHandle): Promise<void>;
  /** Opens NCCL on GPU `gpu`, or Gloo if that is -1. If `network` (an interface) is empty, the address chooses it. */
  openGroup(
    store: StoreHandle,
    ...place: [rank: number, size: number, address: string, gpu: number, ms: number, network: string]
  ): Promise<GroupHandle>;
  /** Sums in place, overwrites with the arrays of root, or fills the second array with the first of every rank. */
  operate(
    group: GroupHandle,
    kind: OperationKind,
    arrays: readonly Float32Array[],
    root: number,
  ): Promise<void>;
  /** Sums a tensor in place; `address` is of the backend, whose libtorch is the same. */
  reduce(group: GroupHandle, address: number): Promise<void>;
  closeGroup(group: GroupHandle): Promise<void>;
  /** What still waits for other ranks no longer keeps this process. */
  letProcessEnd(): void;
}

/** Kept beside the addon once it is built. */
export interface C10dRecord {
  readonly libtorch: string;
  /** Whether it has NCCL for ranks on GPUs, beside Gloo for ranks on CPUs. */
  readonly nccl: boolean;
  /** Why it has no NCCL, if libtorch has CUDA. */
  readonly ncclProblem?: string;
  /** A digest of its source. */
  readonly key: string;
}

export const c10dSource = (): string =>
  join(packageRoot(), 'src', 'train', 'collective', 'c10d', 'native', 'c10d.cc');
export const c10dAddonPath = (folder = buildFolder('c10d')): string => join(folder, 'c10d.node');

export function c10dKey(): string {
  return createHash('sha256').update(readFileSync(c10dSource())).digest('hex').slice(0, 16);
}

/** The record of the build; undefined if there is none, it is damaged, or it is of other sources. */
export function builtC10d(): C10dRecord | undefined {
  const record = builtRecord<C10dRecord>('c10d');
  return record?.key === c10dKey() ? record : undefined;
}

/** @throws UnavailableBackend, with the command that builds it */
export function loadC10d(): C10dAddon {
  if (builtC10d()) return createRequire(__filename)(c10dAddonPath()) as C10dAddon;
  throw new UnavailableBackend(
    'c10d',
    'the collective through libtorch is not built, or from other sources',
    'Run `npx patchwise backend build libtorch`, which says what it needs',
  );
}
