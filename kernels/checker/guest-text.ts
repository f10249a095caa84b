/** The text around a cell by which it sees earlier cells as modules, and later cells see it. */
import type * as TypeScript from 'typescript';
import { topLevelNames } from '../cells/syntax';
import type { Typescript } from '../cells/typescript';

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
export function exportsOf(typescript: Typescript, file: TypeScript.SourceFile): string {
  const names = [...topLevelNames(typescript, file)].filter(
    ([, symbol]) =>
      !(symbol as { exportSymbol?: unknown }).exportSymbol &&
      !(symbol.flags & typescript.SymbolFlags.ExportStar) &&
      !symbol.declarations?.some(
        (declaration) => typescript.isModuleDeclaration(declaration) && isGlobal(declaration),
      ),
  );
  return names.length > 0 ? `\nexport { ${names.map(([name]) => name).join(', ')} };` : '';
}

export function importedBy(file: TypeScript.SourceFile): string[] {
  const { imports = [] } = file as { imports?: readonly TypeScript.StringLiteralLike[] };
  return imports.map(({ text }) => text).filter((text) => !text.startsWith(GUEST));
}

export function isAmbient(typescript: Typescript, symbol: TypeScript.Symbol): boolean {
  return (symbol.declarations ?? []).every(
    (declaration) =>
      (typescript.getCombinedModifierFlags(declaration) & typescript.ModifierFlags.Ambient) !== 0,
  );
}

export function augmentsGlobals(code: string): boolean {
  return /\bdeclare\s+(global|module)\b/.test(code);
}

function isGlobal({ name }: TypeScript.ModuleDeclaration): boolean {
  return name.text === 'global';
}
