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
import ts from 'typescript';
import type { InnerNames } from './inner-names';
import { inBrackets, isRedirected, raw, topLevelValues } from './syntax';

export class OwnNames {
  /** The names that functions use, in the order of `__moved0`, `__moved1`, ... */
  readonly used: string[] = [];
  /** Constants, which become variables so that they can be renewed; nobody else may assign them. */
  readonly constants = new Map<string, ts.Declaration>();
  readonly #names = new Set<string>();

  constructor(
    private readonly file: ts.SourceFile,
    private readonly inner: InnerNames,
  ) {
    for (const [name, { valueDeclaration }] of topLevelValues(file)) {
      const flags = valueDeclaration ? ts.getCombinedNodeFlags(valueDeclaration) : 0;
      if (flags & ts.NodeFlags.Using) continue; // its value is disposed of by the name that it has
      if (valueDeclaration && flags & ts.NodeFlags.Const) this.constants.set(name, valueDeclaration);
      this.#names.add(name);
    }
  }

  /** What replaces an identifier of the cell; undefined if it stays. Ask `assigned` for the expression around it first. */
  redirected(identifier: ts.Identifier): ts.Expression | undefined {
    const { inner } = this;
    const name = identifier.text;
    let outermost: ts.Node = identifier;
    while (ts.isOuterExpression(outermost.parent)) outermost = outermost.parent;
    const isTarget = ts.isAssignmentTarget(outermost);
    const isConstant = isTarget && this.constants.has(name);
    if (!this.#isOwn(identifier, isConstant)) return undefined;
    if (isConstant) return raw(`${inner('own')}.${name}`);
    const at = this.#numberOf(name);
    return isTarget
      ? raw(`(${inner(`moved${at}`)} ? ${inner('cells')} : ${inner('own')}).${name}`)
      : inBrackets(raw(`${this.#ifMoved(at, 'renew')}, ${name}`));
  }

  /** What replaces an assignment to a variable of the cell, or `++`; undefined if it stays. @param visit for its value */
  assigned(node: ts.Node, visit: (node: ts.Expression) => ts.Expression): ts.Expression | undefined {
    const { parent } = node;
    const isUnused =
      parent &&
      (ts.isExpressionStatement(parent) || (ts.isForStatement(parent) && parent.incrementor === node));
    if (ts.isBinaryExpression(node) && ts.isAssignmentOperator(node.operatorToken.kind)) {
      const { left, right, operatorToken } = node;
      const target = this.#variable(left);
      if (!target) return undefined;
      const assignment = ts.factory.createBinaryExpression(target, operatorToken, visit(right));
      const isRead = operatorToken.kind !== ts.SyntaxKind.EqualsToken;
      return this.#renewedAndGiven(target, ts.setTextRange(assignment, node), isRead, isUnused);
    }
    if (!ts.isUnaryExpressionWithWrite(node)) return undefined;
    const target = this.#variable(node.operand);
    if (!target) return undefined;
    const { operator } = node;
    if (ts.isPrefixUnaryExpression(node))
      return this.#renewedAndGiven(
        target,
        ts.factory.createPrefixUnaryExpression(operator, target),
        true,
        isUnused,
      );
    const counted = ts.factory.createPostfixUnaryExpression(target, operator);
    if (isUnused) return this.#renewedAndGiven(target, counted, true, true);
    // (__moved0 ? __cells.x++ : x++)
    const shared = `${this.inner('cells')}.${target.text}${ts.tokenToString(operator)}`;
    const moved = raw(this.inner(`moved${this.#numberOf(target.text)}`));
    ts.setTextRange(counted, node);
    return inBrackets(
      ts.factory.createConditionalExpression(moved, undefined, raw(shared), undefined, counted),
    );
  }

  /** `const` becomes `let` where a function uses one of its names. */
  renewable(statement: ts.Statement): ts.Statement {
    if (!ts.isVariableStatement(statement)) return statement;
    const { declarationList, modifiers } = statement;
    if ((declarationList.flags & ts.NodeFlags.BlockScoped) !== ts.NodeFlags.Const) return statement;
    const declares = ({ pos, end }: ts.Node): boolean => pos >= statement.pos && end <= statement.end;
    if (!this.used.some((name) => this.constants.has(name) && declares(this.constants.get(name)!)))
      return statement;
    const list = ts.factory.createVariableDeclarationList(declarationList.declarations, ts.NodeFlags.Let);
    return ts.factory.updateVariableStatement(statement, modifiers, ts.setTextRange(list, declarationList));
  }

  /** JavaScript for the start of the cell. */
  prelude(): string {
    const { inner } = this;
    const shared = (name: string): string => `${inner('cells')}.${name}`;
    const parts = this.used.map(
      (name, at) =>
        `let ${inner(`moved${at}`)} = false; function ${inner(`renew${at}`)}() { ${name} = ${shared(name)}; } ` +
        `function ${inner(`give${at}`)}() { ${shared(name)} = ${name}; } `,
    );
    return parts.join('');
  }

  /** JavaScript of the functions by which the scope tells the cell that a name was moved, or is back. */
  movers(): string {
    const value = this.inner('value');
    const parts = this.used.map(
      (name, at) => `${name}(${value}) { ${this.inner(`moved${at}`)} = ${value}; }`,
    );
    return `{ ${parts.join(', ')} }`;
  }

  /** The identifier that is assigned, if it is a variable of the cell and the assignment is in a function. */
  #variable(target: ts.Expression): ts.Identifier | undefined {
    const node = ts.skipOuterExpressions(target);
    if (!ts.isIdentifier(node) || this.constants.has(node.text) || !this.#isOwn(node, false))
      return undefined;
    return node;
  }

  /** True for a use of one of the cell's names in code that runs later; with `anywhere` also at the top. */
  #isOwn(identifier: ts.Identifier, anywhere: boolean): boolean {
    const name = identifier.text;
    if (!this.#names.has(name) || !isRedirected(identifier, this.file, true)) return false;
    let isLater = anywhere;
    for (let node: ts.Node = identifier.parent; node !== this.file; node = node.parent) {
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

  #renewedAndGiven(
    { text }: ts.Identifier,
    assignment: ts.Expression,
    isRead: boolean,
    isUnused: boolean,
  ): ts.Expression {
    const at = this.#numberOf(text);
    const after = this.#ifMoved(at, 'give') + (isUnused ? '' : `, ${text}`);
    const parts = [...(isRead ? [raw(this.#ifMoved(at, 'renew'))] : []), assignment, raw(after)];
    return inBrackets(parts.reduce((left, right) => ts.factory.createComma(left, right)));
  }

  /** `__moved0 && __renew0()` */
  #ifMoved(at: number, call: 'renew' | 'give'): string {
    return `${this.inner(`moved${at}`)} && ${this.inner(`${call}${at}`)}()`;
  }
}
