/** The imports of a cell or a local module: which modules, and by which path each imported name is reached. */
import type * as TypeScript from 'typescript';
import type { InnerNames } from './inner-names';
import type { Typescript } from './typescript';

/** `__m0.named.x`, as its parts. */
export type AccessPath = readonly string[];

export class ImportTable {
  /** What is to be loaded, in the order of the modules `__m0`, `__m1`, ... */
  readonly specifiers: string[] = [];
  readonly #paths = new Map<string, AccessPath>();
  readonly #declarations = new Set<TypeScript.Node>();

  constructor(
    private readonly typescript: Typescript,
    file: TypeScript.SourceFile,
    readonly inner: InnerNames,
  ) {
    for (const statement of file.statements) this.#add(statement);
  }

  /** True for an import declaration that this table answers for. */
  has(declaration: TypeScript.Node): boolean {
    return this.#declarations.has(declaration);
  }

  accessTo(name: string): AccessPath | undefined {
    return this.#paths.get(name);
  }

  /** The path to what `name` is in module number `at`. */
  named(at: number, name: string): AccessPath {
    return name === 'default' ? [this.inner.module(at), 'default'] : [this.inner.module(at), 'named', name];
  }

  names(): Iterable<[string, AccessPath]> {
    return this.#paths;
  }

  /** The number of a module, which is loaded from now on. */
  module(specifier: TypeScript.Expression): number {
    const text = (specifier as TypeScript.StringLiteral).text;
    const known = this.specifiers.indexOf(text);
    return known >= 0 ? known : this.specifiers.push(text) - 1;
  }

  #add(statement: TypeScript.Statement): void {
    const ts = this.typescript;
    if (ts.isImportEqualsDeclaration(statement)) {
      const { moduleReference, name, isTypeOnly } = statement;
      if (isTypeOnly || !ts.isExternalModuleReference(moduleReference)) return;
      this.#declarations.add(statement);
      this.#paths.set(name.text, [this.inner.module(this.module(moduleReference.expression)), 'star']);
    }
    if (!ts.isImportDeclaration(statement)) return;
    const { importClause, moduleSpecifier } = statement;
    if (importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword) return;
    const { namedBindings } = importClause ?? {};
    const list = namedBindings && ts.isNamedImports(namedBindings) ? namedBindings.elements : [];
    const elements = list.filter(({ isTypeOnly }) => !isTypeOnly);
    if (importClause && !importClause.name && list.length > 0 && elements.length === 0) return;
    const at = this.module(moduleSpecifier);
    if (importClause?.name) this.#paths.set(importClause.name.text, [this.inner.module(at), 'default']);
    if (namedBindings && ts.isNamespaceImport(namedBindings)) {
      this.#paths.set(namedBindings.name.text, [this.inner.module(at), 'star']);
    }
    for (const { name, propertyName } of elements) {
      this.#paths.set(name.text, this.named(at, (propertyName ?? name).text));
    }
  }
}
