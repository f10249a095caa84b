/** The imports of a cell or a local module: which modules, and by which path each imported name is reached. */
import ts from 'typescript';
import type { InnerNames } from './inner-names';

export class ImportTable {
  /** What is to be loaded, in the order of the modules `__m0`, `__m1`, ... */
  readonly specifiers: string[] = [];
  /** By imported name, `__m0.named.x`. */
  readonly paths = new Map<string, string>();
  readonly #declarations = new Set<ts.Node>();

  constructor(
    file: ts.SourceFile,
    readonly inner: InnerNames,
  ) {
    for (const statement of file.statements) this.#add(statement);
  }

  /** True for an import declaration that this table answers for. */
  has(declaration: ts.Node): boolean {
    return this.#declarations.has(declaration);
  }

  /** The JavaScript for a module, which is loaded from now on. */
  module(specifier: ts.Expression): string {
    const { text } = specifier as ts.StringLiteral;
    const known = this.specifiers.indexOf(text);
    return this.inner(`m${known >= 0 ? known : this.specifiers.push(text) - 1}`);
  }

  #add(statement: ts.Statement): void {
    if (ts.isImportEqualsDeclaration(statement)) {
      const { moduleReference, name, isTypeOnly } = statement;
      if (isTypeOnly || !ts.isExternalModuleReference(moduleReference)) return;
      this.#declarations.add(statement);
      this.paths.set(name.text, `${this.module(moduleReference.expression)}.star`);
    }
    if (!ts.isImportDeclaration(statement)) return;
    const { importClause, moduleSpecifier } = statement;
    if (importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword) return;
    const { namedBindings } = importClause ?? {};
    const list = namedBindings && ts.isNamedImports(namedBindings) ? namedBindings.elements : [];
    const elements = list.filter(({ isTypeOnly }) => !isTypeOnly);
    if (importClause && !importClause.name && list.length > 0 && elements.length === 0) return;
    const module = this.module(moduleSpecifier);
    if (importClause?.name) this.paths.set(importClause.name.text, `${module}.default`);
    if (namedBindings && ts.isNamespaceImport(namedBindings))
      this.paths.set(namedBindings.name.text, `${module}.star`);
    for (const { name, propertyName } of elements)
      this.paths.set(name.text, pathTo(module, (propertyName ?? name).text));
  }
}

/** The path to what `name` is in a module. */
export function pathTo(module: string, name: string): string {
  return name === 'default' ? `${module}.default` : `${module}.named.${name}`;
}
