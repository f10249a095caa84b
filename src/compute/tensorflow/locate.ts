/** Finds the TensorFlow that tfjs-node is built against. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { locate } from '../machine/toolchain';

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
 * TensorFlow from the given folder, TENSORFLOW, or a Python's tensorflow, in this order. A folder is that of Python's
 * package, or has `include` and `lib` of the C library.
 * @throws InvalidArgument for a given folder without it.
 */
export function findTensorflow(folder?: string): Promise<Tensorflow | undefined> {
  const expected =
    'a folder with include/tensorflow/c and libtensorflow_cc.so.2 or lib/libtensorflow.so in it';
  return locate({ backend: 'tensorflow', python: 'tensorflow', folder, expected, look: tensorflowIn });
}

/** The TensorFlow in a folder; undefined if it is not complete. */
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

/** Parts of CUDA that TensorFlow opens by name, as folders of pip's `nvidia`, and how their files begin. */
const PARTS: Readonly<Record<string, RegExp>> = {
  cuda_runtime: /^libcudart\.so\.\d+$/,
  cuda_cupti: /^libcupti\.so\.\d+$/,
  cublas: /^libcublas(Lt)?\.so\.\d+$/,
  cudnn: /^libcudnn\.so\.\d+$/,
  cufft: /^libcufft\.so\.\d+$/,
  curand: /^libcurand\.so\.\d+$/,
  cusolver: /^libcusolver\.so\.\d+$/,
  cusparse: /^libcusparse\.so\.\d+$/,
  nccl: /^libnccl\.so\.\d+$/,
  nvjitlink: /^libnvJitLink\.so\.\d+$/,
};

/**
 * CUDA's libraries to link, if pip brought them: they are in Python's folder of packages, where no loader looks. None if
 * CUDA is the system's own.
 */
export function cudaLibraries(sitePackages: string): string[] {
  return Object.entries(PARTS).flatMap(([part, pattern]) => {
    const folder = join(sitePackages, 'nvidia', part, 'lib');
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .filter((file) => pattern.test(file))
      .map((file) => join(folder, file));
  });
}
