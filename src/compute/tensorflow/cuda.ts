/** CUDA's libraries as pip brings them, beside the tensorflow package, where no loader looks by itself. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

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

/** The files to link, from Python's folder of packages; none where CUDA is the system's own. */
export function cudaLibraries(sitePackages: string): string[] {
  return Object.entries(PARTS).flatMap(([part, pattern]) => {
    const folder = join(sitePackages, 'nvidia', part, 'lib');
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .filter((file) => pattern.test(file))
      .map((file) => join(folder, file));
  });
}
