/** Which packages `require` finds in a notebook: those that are installed now, and ours wherever the notebook lies. */
import { existsSync, readFileSync } from 'node:fs';
import Module, { createRequire, isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import { attempt } from '../../src/errors';
import { PACKAGE, packageRoot } from '../../src/package';

const OURS = new RegExp(`^${PACKAGE}(/|$)`);

/** True if the notebook's own node_modules has our package. */
export function hasOwnPackage(notebookFolder: string): boolean {
  const require = createRequire(join(notebookFolder, 'cell.js'));
  return attempt(() => require.resolve(`${PACKAGE}/package.json`)) !== undefined;
}

/** What a package without a package.json may be; Node tries these. */
const BARE = ['.js', '.json', '.node', '/package.json', '/index.js', '/index.json', '/index.node'];

/**
 * Whether a package is installed now. Node remembers for the life of a process that a folder has no package.json, and so
 * never finds a package that was requested before its `npm install`. So Node is not asked for an absent package.
 * @param lookups the node_modules folders that Node would look into
 */
export function isInstalled(specifier: string, lookups: readonly string[]): boolean {
  const name = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
  return lookups.some(
    (folder) =>
      BARE.some((end) => existsSync(join(folder, name + end))) || // a package may import itself by its name
      attempt(() => JSON.parse(readFileSync(join(dirname(folder), 'package.json'), 'utf8')).name) === name,
  );
}

interface Loader {
  _resolveFilename(request: string, parent?: object, ...rest: unknown[]): string;
  _resolveLookupPaths(request: string, parent?: object): string[] | null;
}

/**
 * Has `require`, of cells and of the local modules they import, look before it asks Node for a package. Unless the
 * notebook has our package, the one that this kernel belongs to is given for it.
 */
export function prepareRequire(notebookFolder: string): void {
  const isForwarded = !hasOwnPackage(notebookFolder);
  const loader = Module as unknown as Loader;
  const resolve = loader._resolveFilename;
  const path = join(packageRoot(), 'package.json');
  const ours = { id: path, filename: path, paths: [join(packageRoot(), 'node_modules')], children: [] };
  loader._resolveFilename = function (this: unknown, request, parent, ...rest): string {
    try {
      const isPackage = typeof request === 'string' && /^[^./#\\]/.test(request) && !isBuiltin(request);
      const lookups = isPackage && rest[1] === undefined && loader._resolveLookupPaths(request, parent);
      if (lookups && !process.versions.pnp && !/^\w+:/.test(request) && !isInstalled(request, lookups))
        throw Object.assign(new Error(`Cannot find module '${request}'`), { code: 'MODULE_NOT_FOUND' });
      return resolve.call(this, request, parent, ...rest);
    } catch (error) {
      if (!isForwarded || !OURS.test(request)) throw error;
      // The package finds itself by its name, through the `exports` of its package.json.
      return resolve.call(this, request, ours, ...rest);
    }
  };
}
