/**
 * The names of a cell that a later cell may declare again. Functions of this cell go on with the later declaration, as
 * in Python. Their variables stay local ones (fast): each use asks whether its name was moved, and only then goes
 * through the scope that cells share (scope.ts).
 *
 *     x           (__moved0 && __renew0(), x)
 *     x += 1      (__moved0 && __renew0(), x += 1, __moved0 && __give0(), x)
 *     [x] = pair  [(__moved0 ? __cells : __own).x] = pair
 *
 * Code at the top of the cell runs once, with the cell's own variables. It stays as it is.
 */
import type * as TypeScript from 'typescript';
import { isValue } from './declarations';
import type { InnerNames } from './inner-names';
import { isRedirected, topLevelNames } from './syntax';
import type { Typescript } from './typescript';

interface Internals {
  isAssignmentTarget(node: TypeScript.Node): boolean;
  isAssignmentOperator(kind: TypeScript.SyntaxKind): boolean;
}

type Unary = TypeScript.PrefixUnaryExpression | TypeScript.PostfixUnaryExpression;

export class OwnNames {
  /** The names that functions use, in the order of `__moved0`, `__moved1`, ... */
  readonly used: string[] = [];
  /** Constants, which become variables so that they can be renewed; nobody else may assign them. */
  readonly constants = new Set<string>();
  readonly #names = new Set<string>();
  readonly #internals: Internals;

  constructor(
    private readonly typescript: Typescript,
    private readonly factory: TypeScript.NodeFactory,
    private readonly file: TypeScript.SourceFile,
    private readonly inner: InnerNames,
  ) {
    const { NodeFlags } = typescript;
    this.#internals = typescript as unknown as Internals;
    for (const [name, symbol] of topLevelNames(typescript, file)) {
      if (!isValue(typescript, symbol)) continue;
      const { valueDeclaration } = (symbol as { exportSymbol?: TypeScript.Symbol }).exportSymbol ?? symbol;
      const flags = valueDeclaration ? typescript.getCombinedNodeFlags(valueDeclaration) : 0;
      if (flags & NodeFlags.Using) continue; // its value is disposed of by the name that it has
      if (flags & NodeFlags.Const) this.constants.add(name);
      this.#names.add(name);
    }
  }

  /** What an identifier of the cell has to become, unless `assigned` answers for what it stands in; undefined where it stays. */
  redirected(identifier: TypeScript.Identifier): TypeScript.Expression | undefined {
    const { factory, inner } = this;
    const name = identifier.text;
    const isTarget = this.#internals.isAssignmentTarget(this.#outermost(identifier));
    const isConstant = isTarget && this.constants.has(name);
    if (!this.#isOwn(identifier, isConstant)) return undefined;
    const own = factory.createIdentifier(inner.own);
    if (isConstant) return factory.createPropertyAccessExpression(own, name);
    const at = this.#numberOf(name);
    if (!isTarget) return this.#listed([this.#ifMoved(at, inner.renew(at)), factory.createIdentifier(name)]);
    const where = factory.createConditionalExpression(
      factory.createIdentifier(inner.moved(at)),
      undefined,
      factory.createIdentifier(inner.cells),
      undefined,
      own,
    );
    return factory.createPropertyAccessExpression(factory.createParenthesizedExpression(where), name);
  }

  /** An assignment to a variable of the cell, or `++` of it; undefined where it stays. `visit` is for what is assigned. */
  assigned(
    node: TypeScript.Node,
    visit: (node: TypeScript.Expression) => TypeScript.Expression,
  ): TypeScript.Expression | undefined {
    const { typescript: ts, factory } = this;
    if (ts.isBinaryExpression(node) && this.#internals.isAssignmentOperator(node.operatorToken.kind)) {
      const target = this.#variable(node.left);
      if (!target) return undefined;
      const { right, operatorToken } = node;
      const assignment = ts.setTextRange(
        factory.createBinaryExpression(target, operatorToken, visit(right)),
        node,
      );
      return this.#renewedAndGiven(
        target,
        assignment,
        operatorToken.kind !== ts.SyntaxKind.EqualsToken,
        this.#isUnused(node),
      );
    }
    if (!ts.isPrefixUnaryExpression(node) && !ts.isPostfixUnaryExpression(node)) return undefined;
    const { PlusPlusToken, MinusMinusToken } = ts.SyntaxKind;
    if (node.operator !== PlusPlusToken && node.operator !== MinusMinusToken) return undefined;
    const target = this.#variable(node.operand);
    if (!target) return undefined;
    const counted = (operand: TypeScript.Expression): TypeScript.Expression =>
      ts.isPrefixUnaryExpression(node)
        ? factory.createPrefixUnaryExpression(node.operator, operand)
        : factory.createPostfixUnaryExpression(operand, node.operator);
    if (ts.isPrefixUnaryExpression(node) || this.#isUnused(node)) {
      return this.#renewedAndGiven(target, counted(target), true, this.#isUnused(node));
    }
    return this.#countedAfter(node, target, counted);
  }

  /** `const` becomes `let` where a function uses one of its names. */
  renewable(statement: TypeScript.Statement): TypeScript.Statement {
    const { typescript: ts, factory } = this;
    if (!ts.isVariableStatement(statement)) return statement;
    const { declarationList, modifiers } = statement;
    if ((declarationList.flags & ts.NodeFlags.BlockScoped) !== ts.NodeFlags.Const) return statement;
    if (!this.used.some((name) => this.constants.has(name) && this.#declares(declarationList, name)))
      return statement;
    const list = factory.createVariableDeclarationList(declarationList.declarations, ts.NodeFlags.Let);
    return factory.updateVariableStatement(statement, modifiers, ts.setTextRange(list, declarationList));
  }

  /** JavaScript for the start of the cell. */
  prelude(): string {
    const { cells } = this.inner;
    return this.used
      .map((name, at) => {
        const { moved, renew, give } = this.inner;
        return (
          `let ${moved(at)} = false; function ${renew(at)}() { ${name} = ${cells}.${name}; } ` +
          `function ${give(at)}() { ${cells}.${name} = ${name}; } `
        );
      })
      .join('');
  }

  /** JavaScript of the functions by which the scope tells the cell that a name was moved, or was not after all. */
  movers(): string {
    const { moved, value } = this.inner;
    return `{ ${this.used.map((name, at) => `${name}(${value}) { ${moved(at)} = ${value}; }`).join(', ')} }`;
  }

  #declares(list: TypeScript.VariableDeclarationList, name: string): boolean {
    const { typescript: ts } = this;
    const binds = (node: TypeScript.BindingName): boolean =>
      ts.isIdentifier(node)
        ? node.text === name
        : node.elements.some((element) => ts.isBindingElement(element) && binds(element.name));
    return list.declarations.some((declaration) => binds(declaration.name));
  }

  /** The identifier that an assignment is to, where it is a variable of the cell's in a function. */
  #variable(target: TypeScript.Expression): TypeScript.Identifier | undefined {
    const { typescript: ts } = this;
    let node = target;
    while (this.#isWrapper(node)) node = node.expression;
    if (!ts.isIdentifier(node) || this.constants.has(node.text) || !this.#isOwn(node, false))
      return undefined;
    return node;
  }

  /** True for a use of one of the cell's names in code that runs later; with `anywhere` also at the top. */
  #isOwn(identifier: TypeScript.Identifier, anywhere: boolean): boolean {
    const { typescript: ts, file } = this;
    const name = identifier.text;
    if (!this.#names.has(name) || !isRedirected(ts, identifier, file, true)) return false;
    let isLater = anywhere;
    for (let node: TypeScript.Node = identifier.parent; node !== file; node = node.parent) {
      if (ts.isFunctionLike(node) || ts.isPropertyDeclaration(node)) isLater = true;
      // Inside of a class, an enum or a namespace its name is that one, whatever comes later.
      if (ts.isClassDeclaration(node) || ts.isEnumDeclaration(node) || ts.isModuleDeclaration(node))
        if (node.name?.text === name) return false;
    }
    return isLater;
  }

  #numberOf(name: string): number {
    const known = this.used.indexOf(name);
    return known >= 0 ? known : this.used.push(name) - 1;
  }

  #outermost(node: TypeScript.Node): TypeScript.Node {
    let outer = node;
    while (this.#isWrapper(outer.parent)) outer = outer.parent;
    return outer;
  }

  /** True for what makes no difference to the value in it. */
  #isWrapper(node: TypeScript.Node): node is TypeScript.ParenthesizedExpression {
    const { typescript: ts } = this;
    return (
      ts.isParenthesizedExpression(node) ||
      ts.isAsExpression(node) ||
      ts.isSatisfiesExpression(node) ||
      ts.isTypeAssertionExpression(node) ||
      ts.isNonNullExpression(node)
    );
  }

  #isUnused(node: TypeScript.Node): boolean {
    const { typescript: ts } = this;
    const { parent } = node;
    return ts.isExpressionStatement(parent) || (ts.isForStatement(parent) && parent.incrementor === node);
  }

  #renewedAndGiven(
    target: TypeScript.Identifier,
    assignment: TypeScript.Expression,
    isRead: boolean,
    isUnused: boolean,
  ): TypeScript.Expression {
    const { factory, inner } = this;
    const at = this.#numberOf(target.text);
    return this.#listed([
      ...(isRead ? [this.#ifMoved(at, inner.renew(at))] : []),
      assignment,
      this.#ifMoved(at, inner.give(at)),
      ...(isUnused ? [] : [factory.createIdentifier(target.text)]),
    ]);
  }

  /** `x++` whose value is used: `(__moved0 ? __cells.x++ : x++)`. */
  #countedAfter(
    node: Unary,
    target: TypeScript.Identifier,
    counted: (operand: TypeScript.Expression) => TypeScript.Expression,
  ): TypeScript.Expression {
    const { typescript: ts, factory, inner } = this;
    const at = this.#numberOf(target.text);
    const shared = factory.createPropertyAccessExpression(factory.createIdentifier(inner.cells), target.text);
    const moved = factory.createIdentifier(inner.moved(at));
    const either = factory.createConditionalExpression(
      moved,
      undefined,
      counted(shared),
      undefined,
      ts.setTextRange(counted(target), node),
    );
    return factory.createParenthesizedExpression(either);
  }

  /** `__moved0 && __renew0()` */
  #ifMoved(at: number, call: string): TypeScript.Expression {
    const { factory } = this;
    return factory.createLogicalAnd(
      factory.createIdentifier(this.inner.moved(at)),
      factory.createCallExpression(factory.createIdentifier(call), [], []),
    );
  }

  #listed(expressions: readonly TypeScript.Expression[]): TypeScript.Expression {
    const { factory } = this;
    return factory.createParenthesizedExpression(
      expressions.reduce((left, right) => factory.createComma(left, right)),
    );
  }
}
