/** From the JavaScript of a compiled cell or local module to the function that makes it run. */
import { compileFunction } from 'node:vm';
import type { CompiledCell } from '../cells/compile';
import type { Accessors, Movers } from '../cells/scope';
import type { Loaded } from './module-loader';

/** What the function of a compiled cell or module is made with (`given` in cells/compile.ts). */
type CellFactory = (given: {
  readonly cells?: object;
  readonly declare: (accessors: Accessors, lexical: readonly string[], movers: Movers) => void;
  readonly star?: (namespace: object) => void;
  readonly modules: readonly Loaded[];
  readonly dynamicImport: (specifier: string) => Promise<unknown>;
  readonly meta: object;
  readonly require: NodeJS.Require;
  readonly filename: string;
  readonly dirname: string;
}) => () => unknown;

const RETURN = 'return ';

/**
 * Not by `vm.Script`: V8 keeps every script that it has compiled in a cache of its own, 1.6 kB and more a cell, which
 * outlasts many collections. Functions compiled in this way are collected after their last use.
 */
export function factoryOf({ code }: CompiledCell, filename: string): CellFactory {
  const options = { filename, columnOffset: -RETURN.length };
  return (compileFunction(RETURN + code, [], options) as () => CellFactory)();
}
