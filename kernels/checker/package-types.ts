/**
 * `import * as pw from 'patchwise'` in a cell, wherever the notebook lies. Unless a node_modules around the notebook
 * has the package, Node and the compiler are pointed at the package that this kernel belongs to.
 */
import Module, { createRequire } from 'node:module';
import { join, relative, sep } from 'node:path';

import { packageRoot } from '../../src/package';

export const PACKAGE = 'patchwise';

/** True if the notebook's own node_modules has the package. */
export function hasOwnPackage(notebookFolder: string): boolean {
  try {
    createRequire(join(notebookFolder, 'cell.js')).resolve(`${PACKAGE}/package.json`);
    return true;
  } catch {
    return false;
  }
}

type ResolveFilename = (request: string, ...rest: unknown[]) => string;

/** Lets `require('patchwise')` fall back to our package, for cells and for the local modules they import. */
export function forwardRequire(root = packageRoot()): void {
  const loader = Module as unknown as { _resolveFilename: ResolveFilename };
  const resolve = loader._resolveFilename;
  const path = join(root, 'package.json');
  const packageModule = { id: path, filename: path, paths: [join(root, 'node_modules')], children: [] };
  loader._resolveFilename = function (this: unknown, request, ...rest): string {
    if (request !== PACKAGE && !request.startsWith(`${PACKAGE}/`))
      return resolve.call(this, request, ...rest);
    try {
      return resolve.call(this, request, ...rest);
    } catch {
      // The package finds itself by its name, through the `exports` of its package.json.
      return resolve.call(this, request, packageModule, ...rest.slice(1));
    }
  };
}

/** The file functions of TypeScript's `sys` through which it looks for a package's types. */
export interface TypeFiles {
  fileExists(path: string): boolean;
  readFile(path: string, encoding?: string): string | undefined;
  directoryExists(path: string): boolean;
  realpath?(path: string): string;
}

/**
 * Changes `files` so that `<notebookFolder>/node_modules/patchwise` is our package root. As `realpath` tells, the
 * folder is a link: what our declarations import is then looked for from where they really are.
 */
export function forwardTypes(files: TypeFiles, notebookFolder: string, root = packageRoot()): void {
  const link = join(notebookFolder, 'node_modules', PACKAGE);
  const forward = (path: string): string => {
    if (!path.includes(PACKAGE)) return path;
    const inside = relative(link, path);
    return inside.startsWith('..') ? path : join(root, inside).split(sep).join('/');
  };
  const { fileExists, readFile, directoryExists, realpath } = files;
  files.fileExists = (path) => fileExists.call(files, forward(path));
  files.readFile = (path, encoding) => readFile.call(files, forward(path), encoding);
  files.directoryExists = (path) => directoryExists.call(files, forward(path));
  if (realpath) files.realpath = (path) => realpath.call(files, forward(path));
}
