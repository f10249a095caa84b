/**
 * Whether a package is installed now. Node remembers for the life of a process that a folder has no package.json, and so
 * never finds a package that was requested before its `npm install`. So Node is not asked for an absent package.
 */
import { existsSync, readFileSync } from 'node:fs';
import Module, { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import { attempt } from '../display/odd-values';

/** What a package without a package.json may be; Node tries these. */
const BARE = ['.js', '.json', '.node', '/package.json', '/index.js', '/index.json', '/index.node'];

/** @param lookups the node_modules folders that Node would look into */
export function isInstalled(specifier: string, lookups: readonly string[]): boolean {
  const name = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
  return lookups.some(
    (folder) =>
      BARE.some((end) => existsSync(join(folder, name + end))) || // a package may import itself by its name
      attempt(() => JSON.parse(readFileSync(join(dirname(folder), 'package.json'), 'utf8')).name) === name,
  );
}

type ResolveFilename = (
  request: string,
  parent?: { readonly paths?: readonly string[] },
  ...rest: unknown[]
) => string;
interface Loader {
  _resolveFilename: ResolveFilename;
  _resolveLookupPaths(request: string, parent?: object): string[] | null;
}

/** Has `require` look before it asks Node for a package. */
export function findWhatIsInstalledLater(): void {
  const loader = Module as unknown as Loader;
  const resolve = loader._resolveFilename;
  loader._resolveFilename = function (this: unknown, request, parent, ...rest): string {
    const isPackage = typeof request === 'string' && /^[^./#\\]/.test(request) && !isBuiltin(request);
    const lookups = isPackage && rest[1] === undefined && loader._resolveLookupPaths(request, parent);
    if (lookups && !process.versions.pnp && !/^\w+:/.test(request) && !isInstalled(request, lookups))
      throw Object.assign(new Error(`Cannot find module '${request}'`), { code: 'MODULE_NOT_FOUND' });
    return resolve.call(this, request, parent, ...rest);
  };
}
