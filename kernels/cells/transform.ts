/**
 * The transformer that makes the statements of a module run inside a function:
 * - imports go; what they import is reached through the modules that the function is given (`__m0.named.x`);
 * - names that this cell does not declare and an earlier cell did are reached through `__cells.x`;
 * - exports go, and what is declared at the top is handed to the scope as accessors (scope.ts);
 * - functions see the later declaration if a later cell declares one of this cell's names again (own-names.ts);
 * - the expression at the end of a cell becomes its value, `return [value]`;
 * - loops in asynchronous code ask at every turn whether the cell was interrupted (interrupt-checks.ts). Functions
 *   that may go on for ever without a loop ask at every call.
 */
import ts from 'typescript';
import { exportsOf, namesOf } from './declarations';
import { ImportTable } from './imports';
import { innerNames } from './inner-names';
import { InterruptChecks } from './interrupt-checks';
import { OwnNames } from './own-names';
import { awaitsAtTop, hasModifier, inBrackets, isRedirected, raw } from './syntax';

/** @param known the names that earlier cells have declared; undefined for a local module */
export function transformCell(
  context: ts.TransformationContext,
  file: ts.SourceFile,
  known: ReadonlySet<string> | undefined,
) {
  const { factory } = ts;
  const inner = innerNames(file);
  const imports = new ImportTable(file, inner);
  const isAsync = awaitsAtTop(file);
  const checks = new InterruptChecks(inner, isAsync);
  const isModule = known === undefined;
  const own = isModule ? undefined : new OwnNames(file, inner);

  /** What replaces an identifier that stands for a value; undefined if it stays. */
  function redirected(identifier: ts.Identifier): ts.Expression | undefined {
    if (!identifier.parent) return undefined; // the name that an anonymous default export was given
    const name = identifier.text;
    const path = imports.paths.get(name);
    const ownAccess = path === undefined ? own?.redirected(identifier) : undefined;
    if (ownAccess) return ownAccess;
    if (path === undefined && (isModule || !known.has(name))) return undefined;
    if (!isRedirected(identifier, file, path !== undefined)) return undefined;
    return raw(path ?? `${inner('cells')}.${name}`);
  }

  function visit<T extends ts.Node>(node: T): T {
    return checks.within(changed(node), node) as T;
  }

  function changed(node: ts.Node): ts.Node {
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return node;
    if (ts.isIdentifier(node)) return placed(redirected(node), node) ?? node;
    if (ts.isShorthandPropertyAssignment(node)) return changedShorthand(node);
    const assigned = own?.assigned(node, visit);
    if (assigned) return placed(assigned, node)!;
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const call = factory.createCallExpression(raw(inner('import')), [], node.arguments.map(visit));
      return placed(call, node)!;
    }
    if (ts.isMetaProperty(node))
      return node.keywordToken === ts.SyntaxKind.ImportKeyword ? raw(inner('meta')) : node;
    const callee = ts.isCallExpression(node)
      ? node.expression
      : ts.isTaggedTemplateExpression(node)
        ? node.tag
        : undefined;
    return ts.visitEachChild(
      node,
      (child) => (child === callee ? withoutReceiver(visit(callee), callee) : visit(child)),
      context,
    );
  }

  function changedShorthand(node: ts.ShorthandPropertyAssignment): ts.Node {
    const target = redirected(node.name);
    const initial = node.objectAssignmentInitializer && visit(node.objectAssignmentInitializer);
    if (!target) return factory.updateShorthandPropertyAssignment(node, node.name, initial);
    const value = initial ? factory.createAssignment(target, initial) : target;
    return placed(factory.createPropertyAssignment(node.name.text, value), node)!;
  }

  /** `f()` of another cell must stay a call of a plain function: not one with our scope as its `this`. */
  function withoutReceiver(callee: ts.Expression, before: ts.Expression): ts.Expression {
    if (callee === before || !ts.isIdentifier(before) || ts.isParenthesizedExpression(callee)) return callee;
    return placed(inBrackets(factory.createComma(factory.createNumericLiteral(0), callee)), before)!;
  }

  function placed<T extends ts.Node>(made: T | undefined, from: ts.Node): T | undefined {
    return made && ts.setSourceMapRange(ts.setTextRange(made, from), ts.getSourceMapRange(from));
  }

  function changedStatement(statement: ts.Statement): readonly ts.Statement[] {
    if (ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement)) return [];
    if (ts.isImportEqualsDeclaration(statement) && imports.has(statement)) return [];
    if (ts.isExportAssignment(statement)) return [exported(statement)];
    return [visit(withoutExport(statement))];
  }

  /** `export default x`: the value of a cell, the default export of a module. */
  function exported(statement: ts.ExportAssignment): ts.Statement {
    const value = visit(statement.expression);
    if (!isModule) return placed(factory.createExpressionStatement(value), statement)!;
    const name = factory.createVariableDeclaration(inner('default'), undefined, undefined, value);
    const list = factory.createVariableDeclarationList([name], ts.NodeFlags.Const);
    return placed(factory.createVariableStatement(undefined, list), statement)!;
  }

  function withoutExport(statement: ts.Statement): ts.Statement {
    if (!hasModifier(statement, ts.ModifierFlags.Export)) return statement;
    const { ExportKeyword, DefaultKeyword } = ts.SyntaxKind;
    const bare = ts.visitEachChild(
      statement,
      (child) => (child.kind === ExportKeyword || child.kind === DefaultKeyword ? undefined : child),
      context,
    );
    if ((!ts.isFunctionDeclaration(bare) && !ts.isClassDeclaration(bare)) || bare.name) return bare;
    return Object.assign(bare, { name: raw(inner('default')) });
  }

  const statements: ts.Statement[] = file.statements.flatMap(changedStatement);
  if (own) for (const [at, statement] of statements.entries()) statements[at] = own.renewable(statement);
  const last = statements.at(-1);
  if (!isModule && last && ts.isExpressionStatement(last)) {
    const value = factory.createArrayLiteralExpression([last.expression]);
    statements[statements.length - 1] = placed(factory.createReturnStatement(value), last)!;
  }
  const list = ts.setTextRange(factory.createNodeArray(statements), file.statements);
  return {
    file: factory.updateSourceFile(file, list),
    imports: imports.specifiers,
    /** JavaScript for the start of the function. */
    declarations: checks.prelude(file) + (own ? namesOf(file, imports, own) : exportsOf(file, imports)),
    isAsync,
    inner,
  };
}
