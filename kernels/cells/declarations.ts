/** The start of compiled code: accessors of what it declares, for the scope that cells share or for importing files. */
import ts from 'typescript';
import { type ImportTable, pathTo } from './imports';
import type { OwnNames } from './own-names';
import { hasModifier, topLevelValues } from './syntax';

/** `const __own = { get x() { return x; }, set x(__value) { x = __value; } }; __declare(__own, ["x"], { ... });` */
export function namesOf(file: ts.SourceFile, { inner, paths }: ImportTable, own: OwnNames): string {
  const { BlockScopedVariable, Class } = ts.SymbolFlags;
  const value = inner('value');
  const accessors = [...paths].map(([name, path]) => getter(name, path));
  const lexical: string[] = [];
  for (const [name, { flags }] of topLevelValues(file)) {
    const set = own.constants.has(name)
      ? 'throw new TypeError("Assignment to constant variable.");'
      : `${name} = ${value};`;
    accessors.push(getter(name, name), `set ${name}(${value}) { ${set} }`);
    if (flags & (BlockScopedVariable | Class)) lexical.push(name);
  }
  if (accessors.length === 0) return '';
  const made = `const ${inner('own')} = { ${accessors.join(', ')} }; `;
  const given = `${inner('own')}, ${JSON.stringify(lexical)}, ${own.movers()}`;
  return `${own.prelude()}${made}${inner('declare')}(${given}); `;
}

/** `__declare({ get x() { return x; } }); __star(__m0.star);` */
export function exportsOf(file: ts.SourceFile, imports: ImportTable): string {
  const { inner, paths } = imports;
  const { Export, Default, ExportDefault } = ts.ModifierFlags;
  const values = topLevelValues(file);
  const accessors: string[] = [];
  const stars: string[] = [];
  for (const [name, { declarations }] of values)
    if (declarations?.some((node) => (ts.getCombinedModifierFlags(node) & ExportDefault) === Export))
      accessors.push(getter(name, name));
  for (const statement of file.statements) {
    if (ts.isExportAssignment(statement)) accessors.push(getter('default', inner('default')));
    else if (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) {
      if (hasModifier(statement, Default))
        accessors.push(getter('default', statement.name?.text ?? inner('default')));
    }
    if (!ts.isExportDeclaration(statement) || statement.isTypeOnly) continue;
    const { exportClause, moduleSpecifier } = statement;
    const module = moduleSpecifier && imports.module(moduleSpecifier);
    if (!exportClause) stars.push(`${inner('star')}(${module}.star); `);
    else if (ts.isNamespaceExport(exportClause))
      accessors.push(getter(exportClause.name.text, `${module}.star`));
    else
      for (const { name, propertyName, isTypeOnly } of exportClause.elements) {
        const from = (propertyName ?? name).text;
        if (isTypeOnly || !(module || paths.has(from) || values.has(from))) continue;
        accessors.push(getter(name.text, module ? pathTo(module, from) : (paths.get(from) ?? from)));
      }
  }
  return `${inner('declare')}({ ${accessors.join(', ')} }); ${stars.join('')}`;
}

function getter(name: string, path: string): string {
  return `get ${name}() { return ${path}; }`;
}
