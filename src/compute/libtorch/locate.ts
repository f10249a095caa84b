/** Finds the libtorch that the addon is built from. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UnavailableBackend } from '../../errors';
import { buildCommand, locate } from '../machine/toolchain';

export interface Libtorch {
  /** How it was found. */
  readonly from: string;
  readonly version: string;
  /** Folders of headers. */
  readonly includes: readonly string[];
  /** Folder of libtorch_cpu.so. */
  readonly libraries: string;
  /** Whether its strings are the C++11 ABI's; pip's torch was built without up to 2.5. */
  readonly cxx11: boolean;
  /** Whether it computes on NVIDIA GPUs. */
  readonly cuda: boolean;
}

/**
 * libtorch from the given folder, LIBTORCH, a Python's torch, or Debian's libtorch-dev, in this order.
 * @throws InvalidArgument for a given folder without it; UnavailableBackend, with what to install, if there is none.
 */
export async function findLibtorch(folder?: string): Promise<Libtorch> {
  const expected = 'a folder with include/ATen and lib/libtorch_cpu.so in it';
  const found =
    (await locate({ backend: 'libtorch', python: 'torch', folder, expected, look: inFolder })) ??
    inFolder('/usr', "Debian's libtorch-dev");
  if (found) return found;
  throw new UnavailableBackend(
    'libtorch',
    'libtorch is not on this machine',
    'Install PyTorch (`python3 -m venv .venv && .venv/bin/pip install torch`), or on Debian ' +
      '`sudo apt-get install libtorch-dev`, or unpack libtorch from https://pytorch.org and give --libtorch DIR; ' +
      `then \`${buildCommand('libtorch')}\``,
  );
}

function inFolder(folder: string, from: string): Libtorch | undefined {
  const include = join(folder, 'include');
  // An unpacked libtorch and pip's have `lib`; a system's folder has one for each architecture.
  const libraries = ['lib', 'lib/x86_64-linux-gnu', 'lib/aarch64-linux-gnu', 'lib64']
    .map((name) => join(folder, name))
    .find((name) => existsSync(join(name, 'libtorch_cpu.so')) && existsSync(join(name, 'libc10.so')));
  const version = torchVersion(include);
  if (!libraries || !version || !existsSync(join(include, 'ATen', 'ATen.h'))) return undefined;
  return {
    from,
    version,
    includes: [include, join(include, 'torch', 'csrc', 'api', 'include')],
    libraries,
    cxx11: readFileSync(join(libraries, 'libc10.so')).includes('__cxx11'),
    cuda: existsSync(join(libraries, 'libtorch_cuda.so')),
  };
}

/** The version of the libtorch whose headers are in a folder; undefined where there are none. */
export function torchVersion(include: string): string | undefined {
  // Where the numbers are since torch 2.8, and where they were before.
  const places = [
    ['torch', 'headeronly', 'version.h'],
    ['torch', 'csrc', 'api', 'include', 'torch', 'version.h'],
  ];
  const header = places.map((place) => join(include, ...place)).find((file) => existsSync(file));
  if (!header) return undefined;
  const text = readFileSync(header, 'utf8');
  const number = (part: string) => text.match(new RegExp(`#define TORCH_VERSION_${part} (\\d+)`))?.[1];
  return ['MAJOR', 'MINOR', 'PATCH'].map(number).join('.');
}
