/** The library as the notebook's cells import it: the notebook's own copy if there is one, of whatever version. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { attempt } from '../../src/errors';
import type * as Library from '../../src/index';
import type * as Internal from '../../src/internal';
import { PACKAGE } from '../../src/package';

/** The public names. Loads the library. */
export function library(): typeof Library {
  return notebookRequire()(PACKAGE) as typeof Library;
}

let path: string | undefined;

/**
 * The internal names once the library is loaded; no value of its classes exists before, and the kernel starts without its
 * weight. Older copies have no `patchwise/internal` and export these names with the public ones.
 */
export function loadedInternals(): Partial<typeof Internal> | undefined {
  path ??= attempt(() => notebookRequire().resolve(PACKAGE));
  const loaded = path === undefined ? undefined : require.cache[path];
  return loaded && (attempt(() => createRequire(loaded.filename)(`${PACKAGE}/internal`)) ?? loaded.exports);
}

function notebookRequire(): NodeJS.Require {
  return createRequire(join(process.cwd(), 'cell.js'));
}
