/** Finds the TensorFlow that tfjs-node is built against. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { InvalidArgument } from '../../errors';
import { findPythonPackage } from '../machine/toolchain';

export interface Tensorflow {
  /** How it was found. */
  readonly from: string;
  readonly headers: string;
  /** Files to link, the one with TensorFlow's C interface first. */
  readonly libraries: readonly string[];
  /** Whether it was compiled for NVIDIA GPUs. */
  readonly cuda: boolean;
}

/**
 * TensorFlow from the folder that is given, and else from TENSORFLOW or the tensorflow of PATCHWISE_PYTHON, .venv or
 * python3. A folder is a Python's `tensorflow`, or one with `include` and `lib` of the C library.
 *
 * @throws InvalidArgument for a given folder without it.
 */
export async function findTensorflow(folder?: string): Promise<Tensorflow | undefined> {
  for (const [name, given] of [
    ['tensorflow', folder],
    ['TENSORFLOW', process.env.TENSORFLOW],
  ] as const) {
    if (!given) continue;
    const found = tensorflowIn(resolve(given), `${name} ${given}`);
    if (found) return found;
    const expected =
      'a folder with include/tensorflow/c and libtensorflow_cc.so.2 or lib/libtensorflow.so in it';
    throw new InvalidArgument(name, expected, given);
  }
  const pip = await findPythonPackage('tensorflow');
  return pip && tensorflowIn(pip.folder, `the tensorflow of ${pip.python}`);
}

/** The TensorFlow in a folder; undefined where it is not whole. */
export function tensorflowIn(folder: string, from: string): Tensorflow | undefined {
  const headers = join(folder, 'include');
  if (!existsSync(join(headers, 'tensorflow', 'c', 'eager', 'c_api.h'))) return undefined;
  const layouts = [
    ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'],
    [join('lib', 'libtensorflow.so'), join('lib', 'libtensorflow_framework.so')],
  ];
  for (const layout of layouts) {
    const libraries = layout.map((file) => join(folder, file));
    if (libraries.every((file) => existsSync(file)))
      return { from, headers, libraries, cuda: isCuda(folder) };
  }
  return undefined;
}

function isCuda(folder: string): boolean {
  const facts = join(folder, 'python', 'platform', 'build_info.py');
  if (!existsSync(facts)) return existsSync(join(folder, 'include', 'tensorflow', 'c', 'cuda'));
  return /["']is_cuda_build["']\s*[,:]\s*True/.test(readFileSync(facts, 'utf8'));
}
