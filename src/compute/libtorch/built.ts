/** Where the built addon is, and whether it belongs to these sources and this machine. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { UnavailableBackend } from '../../errors';
import { packageRoot } from '../../package';
import { buildCommand, buildFolder, readBuildRecord } from '../machine/toolchain';
import { torchVersion } from './locate';

/** Written beside the addon when it has passed its test. */
export interface BuildRecord {
  readonly libtorch: string;
  /** How libtorch was found. */
  readonly from: string;
  readonly cuda: boolean;
  /** Its headers' folder, to notice when another version takes its place. */
  readonly headers: string;
  /** The processor it was compiled for; absent where it is the machine's that built it. */
  readonly march?: string;
  /** What the addon depends on beside libtorch: sources and processor. */
  readonly key: string;
  readonly seconds: number;
}

export function nativeSources(): string {
  return join(packageRoot(), 'src', 'compute', 'libtorch', 'native');
}

export function addonPath(folder: string = buildFolder('libtorch')): string {
  return join(folder, 'patchwise.node');
}

const recordPath = () => join(buildFolder('libtorch'), 'build.json');

/** Whether an addon was built here, fitting or not. */
export function isBuilt(): boolean {
  return existsSync(recordPath()) && existsSync(addonPath());
}

/** A digest of what makes a build stale: the sources, and the processor whose instructions it uses. */
export function buildKey(march = cpus()[0]?.model): string {
  const hash = createHash('sha256').update(`${process.arch} ${march}`);
  const folder = nativeSources();
  for (const name of readdirSync(folder).sort()) hash.update(name).update(readFileSync(join(folder, name)));
  return hash.digest('hex').slice(0, 16);
}

/** The record of the build. @throws UnavailableBackend, with the command, where there is none or it is stale. */
export function requireBuild(): BuildRecord {
  const cure = `Run \`${buildCommand('libtorch')}\``;
  if (!isBuilt()) throw new UnavailableBackend('libtorch', 'its native part is not built', cure);
  const record = readBuildRecord<BuildRecord>(recordPath());
  if (!record) throw new UnavailableBackend('libtorch', `${recordPath()} is damaged`, cure);
  if (record.key !== buildKey(record.march)) {
    const why = 'its native part was built from other sources or on another processor';
    throw new UnavailableBackend('libtorch', why, cure);
  }
  const now = torchVersion(record.headers);
  if (now !== record.libtorch) {
    const why = `it was built on libtorch ${record.libtorch}, and ${now ?? 'none'} is in ${record.headers} now`;
    throw new UnavailableBackend('libtorch', why, cure);
  }
  return record;
}
