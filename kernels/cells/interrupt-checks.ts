/** The checks for interrupts that compiled code gets (interrupts.ts says what they ask). */
import type * as TypeScript from 'typescript';
import { HAPPENED, STUCK } from '../process/interrupts';
import type { InnerNames } from './inner-names';
import { isAsyncFunction, maySpin } from './syntax';
import type { Typescript } from './typescript';

export class InterruptChecks {
  /** The code has a check, so that it needs the prelude. */
  isUsed = false;
  /** Functions whose loops ask for the slot of their run; the file for those at the top. */
  readonly #slotted = new Set<TypeScript.Node>();

  constructor(
    private readonly typescript: Typescript,
    private readonly factory: TypeScript.NodeFactory,
    private readonly names: InnerNames,
    /** The file awaits at its top. */
    private readonly isAsync: boolean,
  ) {}

  /** For the start of the function that the code becomes. @param file whose loops may be at the top */
  prelude(file: TypeScript.SourceFile): string {
    if (!this.isUsed) return '';
    const { stop, slot } = this.names;
    const first = `const ${stop} = globalThis[Symbol.for("patchwise.interrupts")]; `;
    return this.#slotted.has(file) ? `${first}const ${slot} = ${stop}.slot(); ` : first;
  }

  /**
   * The loop with a check at the start of each turn, where it needs one. In asynchronous code each does; elsewhere SIGINT
   * ends loops, which may be hot, but for those in timers and event handlers: of them the ones that look endless.
   */
  inLoop(
    loop: TypeScript.IterationStatement,
    original: TypeScript.IterationStatement,
  ): TypeScript.IterationStatement {
    const owner = this.#ownerOf(original);
    if (owner) {
      this.#slotted.add(owner);
      return this.#withFirst(loop, this.#check(this.factory.createIdentifier(this.names.slot), 'check'));
    }
    if (!this.#looksEndless(original)) return loop;
    return this.#withFirst(loop, this.#check(STUCK, 'yield'));
  }

  /** The body of a function that may go on for ever without a loop, or has loops that ask, with what that needs. */
  inBody(body: TypeScript.ConciseBody, original: TypeScript.SignatureDeclaration): TypeScript.ConciseBody {
    const { typescript: ts, factory } = this;
    const first: TypeScript.Statement[] = [];
    if (maySpin(ts, original)) first.push(this.#check(HAPPENED, 'check'));
    if (this.#slotted.has(original)) first.push(this.#slot());
    if (first.length === 0) return body;
    const statements = ts.isBlock(body)
      ? body.statements
      : [ts.setTextRange(factory.createReturnStatement(body), body)];
    return ts.setTextRange(factory.createBlock([...first, ...statements], true), body);
  }

  /** The asynchronous function that a loop belongs to, or the file; undefined for a loop of synchronous code. */
  #ownerOf(loop: TypeScript.Node): TypeScript.Node | undefined {
    const { typescript: ts } = this;
    let node = loop.parent;
    while (!ts.isSourceFile(node) && !ts.isFunctionLike(node)) node = node.parent;
    if (ts.isSourceFile(node)) return this.isAsync ? node : undefined;
    return isAsyncFunction(ts, node) ? node : undefined;
  }

  #looksEndless(loop: TypeScript.IterationStatement): boolean {
    const { typescript: ts } = this;
    if (ts.isForStatement(loop)) return loop.condition === undefined || this.#isTrue(loop.condition);
    if (!ts.isWhileStatement(loop) && !ts.isDoStatement(loop)) return false;
    const { expression, statement } = loop;
    const isEmpty =
      ts.isEmptyStatement(statement) || (ts.isBlock(statement) && statement.statements.length === 0);
    return isEmpty || this.#isTrue(expression) || this.#calls(expression) || this.#calls(statement);
  }

  #isTrue(expression: TypeScript.Expression): boolean {
    const { typescript: ts } = this;
    return (
      expression.kind === ts.SyntaxKind.TrueKeyword ||
      (ts.isNumericLiteral(expression) && expression.text !== '0')
    );
  }

  #calls(node: TypeScript.Node): boolean {
    const { typescript: ts } = this;
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) return true;
    return ts.forEachChild(node, (child) => this.#calls(child) || undefined) ?? false;
  }

  /** `if (__stop.flags[at]) __stop.check();` */
  #check(at: number | TypeScript.Expression, method: string): TypeScript.Statement {
    const { factory } = this;
    this.isUsed = true;
    const stop = factory.createIdentifier(this.names.stop);
    return factory.createIfStatement(
      factory.createElementAccessExpression(factory.createPropertyAccessExpression(stop, 'flags'), at),
      factory.createExpressionStatement(
        factory.createCallExpression(factory.createPropertyAccessExpression(stop, method), [], []),
      ),
    );
  }

  /** `const __slot = __stop.slot();` */
  #slot(): TypeScript.Statement {
    const { typescript: ts, factory } = this;
    const { stop, slot } = this.names;
    const call = factory.createCallExpression(
      factory.createPropertyAccessExpression(factory.createIdentifier(stop), 'slot'),
      [],
      [],
    );
    const declaration = factory.createVariableDeclaration(slot, undefined, undefined, call);
    const list = factory.createVariableDeclarationList([declaration], ts.NodeFlags.Const);
    return factory.createVariableStatement(undefined, list);
  }

  #withFirst(
    loop: TypeScript.IterationStatement,
    first: TypeScript.Statement,
  ): TypeScript.IterationStatement {
    const { typescript: ts, factory } = this;
    const { statement } = loop;
    const inner = ts.isBlock(statement) ? statement.statements : [statement];
    const body = ts.setTextRange(factory.createBlock([first, ...inner], true), statement);
    if (ts.isForStatement(loop)) {
      return factory.updateForStatement(loop, loop.initializer, loop.condition, loop.incrementor, body);
    }
    if (ts.isForOfStatement(loop)) {
      return factory.updateForOfStatement(loop, loop.awaitModifier, loop.initializer, loop.expression, body);
    }
    if (ts.isForInStatement(loop)) {
      return factory.updateForInStatement(loop, loop.initializer, loop.expression, body);
    }
    if (ts.isWhileStatement(loop)) return factory.updateWhileStatement(loop, loop.expression, body);
    if (ts.isDoStatement(loop)) return factory.updateDoStatement(loop, body, loop.expression);
    return loop;
  }
}
