import { dirname, relative, resolve } from 'node:path';
import { volumeStem } from './formats/names';

/**
 * The patient of a file by its name: everything up to the first number (`LIDC-IDRI-0001`, `PAT001_20200101` -> `PAT001`,
 * `train_1_a_2` -> `train_1`, `sub-01_ses-2` -> `sub-01`), or a whole UID (`1.2.840.113`). If the file's name has no
 * number, it takes the nearest folder with a number (`s0012/ct` -> `s0012`), or else the whole name.
 */
export function patientByName(file: string): string {
  const parts = volumeStem(file).split('/');
  for (const part of parts.reverse()) {
    const match = /^(?:\d+(?:\.\d+)+|.*?\d+)/.exec(part);
    if (match) return match[0];
  }
  return parts.reverse().join('/');
}

/**
 * The patients of files by their paths below the folder that holds them all. So `s0012/ct.nii` and `s0013/ct.nii` are of
 * two patients, however they are given, and a number in a folder above them counts for none.
 * @param folders the folders of the files, or folders that hold them
 */
export function patientsBelow(folders: readonly string[], files: readonly string[]): string[] {
  const common = commonFolder(folders.map((folder) => resolve(folder)));
  return files.map((file) => patientByName(relative(common, resolve(file)).replaceAll('\\', '/')));
}

function commonFolder([first = '/', ...others]: readonly string[]): string {
  let common = first;
  for (const folder of others)
    while (folder !== common && !folder.startsWith(common === '/' ? '/' : `${common}/`))
      common = dirname(common);
  return common;
}
