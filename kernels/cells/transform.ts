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
import type * as TypeScript from 'typescript';
import { declarationsOf } from './declarations';
import { ImportTable } from './imports';
import { type InnerNames, innerNames } from './inner-names';
import { InterruptChecks } from './interrupt-checks';
import { OwnNames } from './own-names';
import { awaitsAtTop, bound, isRedirected } from './syntax';
import type { Typescript } from './typescript';

export interface CellForm {
  readonly file: TypeScript.SourceFile;
  readonly imports: readonly string[];
  /** JavaScript for the start of the function. */
  readonly declarations: string;
  readonly isAsync: boolean;
  readonly names: InnerNames;
}

export interface CellContext {
  readonly known: ReadonlySet<string>;
  readonly isModule: boolean;
}

export function transformCell(
  typescript: Typescript,
  context: TypeScript.TransformationContext,
  original: TypeScript.SourceFile,
  { known, isModule }: CellContext,
): CellForm {
  const ts = typescript;
  const { factory } = context;
  const file = bound(ts, original, context.getCompilerOptions());
  const names = innerNames(file);
  const imports = new ImportTable(ts, file, names);
  const isAsync = awaitsAtTop(ts, file);
  const checks = new InterruptChecks(ts, factory, names, isAsync);
  const own = isModule ? undefined : new OwnNames(ts, factory, file, names);

  /** What an identifier that stands for a value has to become; undefined where it stays. */
  function redirected(identifier: TypeScript.Identifier): TypeScript.Expression | undefined {
    const name = identifier.text;
    const access = imports.accessTo(name);
    const ownAccess = access ? undefined : own?.redirected(identifier);
    if (ownAccess) return ownAccess;
    if (access === undefined && !known.has(name)) return undefined;
    if (!isRedirected(ts, identifier, file, access !== undefined)) return undefined;
    const [object, ...path] = access ?? [names.cells, name];
    return path.reduce<TypeScript.Expression>(
      (target, key) => factory.createPropertyAccessExpression(target, key),
      factory.createIdentifier(object!),
    );
  }

  function visit(node: TypeScript.Node): TypeScript.Node {
    if (ts.isTypeNode(node) && !ts.isExpressionWithTypeArguments(node)) return node;
    const children = (): TypeScript.Node => ts.visitEachChild(node, visit, context);
    if (ts.isIdentifier(node)) return placed(redirected(node), node) ?? node;
    if (ts.isShorthandPropertyAssignment(node)) return visitShorthand(node);
    const assigned = own?.assigned(node, (value) => visit(value) as TypeScript.Expression);
    if (assigned) return placed(assigned, node)!;
    if (ts.isCallExpression(node)) {
      if (node.expression.kind === ts.SyntaxKind.ImportKeyword) {
        const given = node.arguments.map((argument) => visit(argument) as TypeScript.Expression);
        return placed(factory.createCallExpression(factory.createIdentifier(names.import), [], given), node)!;
      }
      const call = children() as TypeScript.CallExpression;
      const callee = withoutReceiver(call.expression, node.expression);
      return factory.updateCallExpression(call, callee, call.typeArguments, call.arguments);
    }
    if (ts.isTaggedTemplateExpression(node)) {
      const template = children() as TypeScript.TaggedTemplateExpression;
      const tag = withoutReceiver(template.tag, node.tag) as TypeScript.LeftHandSideExpression;
      return factory.updateTaggedTemplateExpression(template, tag, undefined, template.template);
    }
    if (ts.isMetaProperty(node)) {
      return node.keywordToken === ts.SyntaxKind.ImportKeyword ? factory.createIdentifier(names.meta) : node;
    }
    if (ts.isBlock(node) && ts.isFunctionLike(node.parent)) {
      return checks.inBody(children() as TypeScript.Block, node.parent);
    }
    if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) {
      const { modifiers, typeParameters, parameters, type, equalsGreaterThanToken, body } =
        children() as TypeScript.ArrowFunction;
      const checked = checks.inBody(body, node);
      return factory.updateArrowFunction(
        ...([node, modifiers, typeParameters, parameters, type, equalsGreaterThanToken, checked] as const),
      );
    }
    if (ts.isIterationStatement(node, false)) {
      return checks.inLoop(children() as TypeScript.IterationStatement, node);
    }
    return children();
  }

  function visitShorthand(node: TypeScript.ShorthandPropertyAssignment): TypeScript.Node {
    const target = redirected(node.name);
    const { objectAssignmentInitializer } = node;
    const initial =
      objectAssignmentInitializer && (visit(objectAssignmentInitializer) as TypeScript.Expression);
    if (!target) return factory.updateShorthandPropertyAssignment(node, node.name, initial);
    const value = initial ? factory.createAssignment(target, initial) : target;
    return placed(factory.createPropertyAssignment(node.name.text, value), node)!;
  }

  /** `f()` of another cell must stay a call of a plain function: not one with our scope as its `this`. */
  function withoutReceiver(
    callee: TypeScript.Expression,
    before: TypeScript.Expression,
  ): TypeScript.Expression {
    if (callee === before || !ts.isIdentifier(before) || ts.isParenthesizedExpression(callee)) return callee;
    const comma = factory.createComma(factory.createNumericLiteral(0), callee);
    return placed(factory.createParenthesizedExpression(comma), before)!;
  }

  function placed<T extends TypeScript.Node>(made: T | undefined, from: TypeScript.Node): T | undefined {
    return made && ts.setSourceMapRange(ts.setTextRange(made, from), ts.getSourceMapRange(from));
  }

  function visitStatement(statement: TypeScript.Statement): readonly TypeScript.Statement[] {
    if (ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement)) return [];
    if (ts.isImportEqualsDeclaration(statement) && imports.has(statement)) return [];
    if (ts.isExportAssignment(statement)) return [exported(statement)];
    return [visit(withoutExport(statement)) as TypeScript.Statement];
  }

  /** `export default x`: the value of a cell, the default export of a module. */
  function exported(statement: TypeScript.ExportAssignment): TypeScript.Statement {
    const value = visit(statement.expression) as TypeScript.Expression;
    if (!isModule) return placed(factory.createExpressionStatement(value), statement)!;
    const name = factory.createVariableDeclaration(names.default, undefined, undefined, value);
    const list = factory.createVariableDeclarationList([name], ts.NodeFlags.Const);
    return placed(factory.createVariableStatement(undefined, list), statement)!;
  }

  function withoutExport(statement: TypeScript.Statement): TypeScript.Statement {
    const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
    if (!modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return statement;
    const drop = (node: TypeScript.Node): TypeScript.Node | undefined =>
      node.kind === ts.SyntaxKind.ExportKeyword || node.kind === ts.SyntaxKind.DefaultKeyword
        ? undefined
        : node;
    const bare = ts.visitEachChild(
      statement,
      (child) => (modifiers.includes(child as TypeScript.Modifier) ? drop(child) : child),
      context,
    );
    if (!ts.isFunctionDeclaration(bare) && !ts.isClassDeclaration(bare)) return bare;
    if (bare.name) return bare;
    const name = factory.createIdentifier(names.default);
    return ts.isClassDeclaration(bare)
      ? factory.updateClassDeclaration(
          bare,
          bare.modifiers,
          name,
          bare.typeParameters,
          bare.heritageClauses,
          bare.members,
        )
      : factory.updateFunctionDeclaration(
          bare,
          bare.modifiers,
          bare.asteriskToken,
          name,
          bare.typeParameters,
          bare.parameters,
          bare.type,
          bare.body,
        );
  }

  const statements: TypeScript.Statement[] = file.statements.flatMap(visitStatement);
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
    declarations: checks.prelude(file) + declarationsOf(ts, file, imports, own),
    isAsync,
    names,
  };
}
