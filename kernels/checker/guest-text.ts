/** The text around a cell by which it sees earlier cells as modules, and later cells see it. */
import ts from 'typescript';

/** Where a name of earlier cells is declared. */
export interface Declared {
  readonly module: string;
  /** It may be assigned: a `let` or a `var`. */
  readonly isVariable: boolean;
}

/** Starts the name of every guest. No person's file starts with it. */
export const GUEST = '~';

/** One line that makes the names visible. A variable of another module cannot be assigned, so it is declared again. */
export function importsOf(names: readonly (readonly [string, Declared])[]): string {
  const statements = names.map(([name, { module, isVariable }]) =>
    isVariable
      ? `declare let ${name}: typeof import("${module}").${name};`
      : `import { ${name} } from "${module}";`,
  );
  return statements.length > 0 ? `${statements.join(' ')} ` : '';
}

/** One line at the end that exports what the cell declares at its top and does not export itself. */
export function exportsOf({ locals }: ts.SourceFile): string {
  const isGlobal = (node: ts.Declaration): boolean =>
    ts.isModuleDeclaration(node) && ts.isGlobalScopeAugmentation(node);
  const names = [...(locals ?? [])].filter(
    ([, { exportSymbol, flags, declarations }]) =>
      !exportSymbol && !(flags & ts.SymbolFlags.ExportStar) && !declarations?.some(isGlobal),
  );
  const written = names.map(([name]) => ts.unescapeLeadingUnderscores(name));
  return written.length > 0 ? `\nexport { ${written.join(', ')} };` : '';
}

export function importedBy({ imports = [] }: ts.SourceFile): string[] {
  return imports.map(({ text }) => text).filter((text) => !text.startsWith(GUEST));
}

export function augmentsGlobals(code: string): boolean {
  return /\bdeclare\s+(global|module)\b/.test(code);
}
