/** The start of a compiled cell: the accessors of what it declares, for the scope that cells share. */
import type * as TypeScript from 'typescript';
import type { AccessPath, ImportTable } from './imports';
import type { OwnNames } from './own-names';
import { topLevelNames } from './syntax';
import type { Typescript } from './typescript';

/** `const __own = { get x() { return x; }, set x(__value) { x = __value; } }; __declare(__own, ["x"], { ... });` */
export function declarationsOf(
  typescript: Typescript,
  file: TypeScript.SourceFile,
  imports: ImportTable,
  own: OwnNames | undefined,
): string {
  return own ? namesOf(typescript, file, imports, own) : exportsOf(typescript, file, imports);
}

function namesOf(
  typescript: Typescript,
  file: TypeScript.SourceFile,
  imports: ImportTable,
  own: OwnNames,
): string {
  const { SymbolFlags } = typescript;
  const { declare, value, own: accessorsOf } = imports.inner;
  const accessors = [...imports.names()].map(([name, path]) => getter(name, path));
  const lexical: string[] = [];
  for (const [name, local] of topLevelNames(typescript, file)) {
    const symbol = declared(local);
    if (!isValue(typescript, symbol)) continue;
    const set = own.constants.has(name)
      ? 'throw new TypeError("Assignment to constant variable.");'
      : `${name} = ${value};`;
    accessors.push(getter(name, [name]), `set ${name}(${value}) { ${set} }`);
    if (symbol.flags & (SymbolFlags.BlockScopedVariable | SymbolFlags.Class)) lexical.push(name);
  }
  if (accessors.length === 0) return '';
  const made = `const ${accessorsOf} = { ${accessors.join(', ')} }; `;
  return `${own.prelude()}${made}${declare}(${accessorsOf}, ${JSON.stringify(lexical)}, ${own.movers()}); `;
}

function exportsOf(typescript: Typescript, file: TypeScript.SourceFile, imports: ImportTable): string {
  const ts = typescript;
  const { declare, star, default: fallback, module } = imports.inner;
  const accessors: string[] = [];
  const stars: string[] = [];
  const pathOf = (name: string): AccessPath => imports.accessTo(name) ?? [name];
  for (const [name, local] of topLevelNames(ts, file)) {
    const symbol = declared(local);
    if (isValue(ts, symbol) && symbol.declarations?.some((declaration) => isExported(ts, declaration)))
      accessors.push(getter(name, [name]));
  }
  for (const statement of file.statements) {
    if (ts.isExportAssignment(statement) || isAnonymousDefault(ts, statement)) {
      accessors.push(getter('default', [fallback]));
    } else if (defaultName(ts, statement)) accessors.push(getter('default', [defaultName(ts, statement)!]));
    if (!ts.isExportDeclaration(statement) || statement.isTypeOnly) continue;
    const { exportClause, moduleSpecifier } = statement;
    const at = moduleSpecifier && imports.module(moduleSpecifier);
    if (!exportClause) stars.push(`${star}(${module(at!)}.star); `);
    else if (ts.isNamespaceExport(exportClause)) {
      accessors.push(getter(exportClause.name.text, [module(at!), 'star']));
    } else {
      for (const { name, propertyName, isTypeOnly } of exportClause.elements) {
        const from = (propertyName ?? name).text;
        if (isTypeOnly || (at === undefined && !isLocalValue(ts, file, imports, from))) continue;
        accessors.push(getter(name.text, at === undefined ? pathOf(from) : imports.named(at, from)));
      }
    }
  }
  return `${declare}({ ${accessors.join(', ')} }); ${stars.join('')}`;
}

function getter(name: string, path: AccessPath): string {
  return `get ${name}() { return ${path.join('.')}; }`;
}

/** What is exported is bound twice; the symbol that knows what it is, is the other one. */
function declared(local: TypeScript.Symbol): TypeScript.Symbol {
  return (local as { exportSymbol?: TypeScript.Symbol }).exportSymbol ?? local;
}

/** True for what exists when the cell runs: no type, nothing that is only declared to exist. */
export function isValue(typescript: Typescript, local: TypeScript.Symbol): boolean {
  const symbol = declared(local);
  if (!(symbol.flags & typescript.SymbolFlags.Value)) return false;
  const declarations = symbol.declarations ?? [];
  return declarations.some(
    (declaration) =>
      !(typescript.getCombinedModifierFlags(declaration) & typescript.ModifierFlags.Ambient) &&
      !(typescript.isFunctionDeclaration(declaration) && !declaration.body),
  );
}

function isLocalValue(
  typescript: Typescript,
  file: TypeScript.SourceFile,
  imports: ImportTable,
  name: string,
): boolean {
  const local = topLevelNames(typescript, file).get(name);
  const symbol = local && declared(local);
  return imports.accessTo(name) !== undefined || (symbol !== undefined && isValue(typescript, symbol));
}

function isExported(typescript: Typescript, declaration: TypeScript.Declaration): boolean {
  const flags = typescript.getCombinedModifierFlags(declaration);
  const { Export, Default } = typescript.ModifierFlags;
  return (flags & Export) !== 0 && (flags & Default) === 0;
}

function isDefault(typescript: Typescript, statement: TypeScript.Statement): boolean {
  const modifiers = typescript.canHaveModifiers(statement) ? (typescript.getModifiers(statement) ?? []) : [];
  return modifiers.some(({ kind }) => kind === typescript.SyntaxKind.DefaultKeyword);
}

function isAnonymousDefault(typescript: Typescript, statement: TypeScript.Statement): boolean {
  return isDefault(typescript, statement) && defaultName(typescript, statement) === undefined;
}

function defaultName(typescript: Typescript, statement: TypeScript.Statement): string | undefined {
  if (!isDefault(typescript, statement)) return undefined;
  if (typescript.isFunctionDeclaration(statement) || typescript.isClassDeclaration(statement)) {
    return statement.name?.text;
  }
  return undefined;
}
