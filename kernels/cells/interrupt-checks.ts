/** The checks for interrupts that compiled code gets (interrupts.ts says what they ask). */
import ts from 'typescript';
import { HAPPENED, STUCK } from '../process/interrupts';
import type { InnerNames } from './inner-names';
import { hasModifier, maySpin, raw } from './syntax';

export class InterruptChecks {
  /** The code has a check, so that it needs the prelude. */
  #isUsed = false;
  /** Functions whose loops ask for the slot of their run; the file for those at the top. */
  readonly #slotted = new Set<ts.Node>();

  constructor(
    private readonly inner: InnerNames,
    /** The file awaits at its top. */
    private readonly isAsync: boolean,
  ) {}

  /** For the start of the function that the code becomes. @param file whose loops may be at the top */
  prelude(file: ts.SourceFile): string {
    if (!this.#isUsed) return '';
    const first = `const ${this.inner('stop')} = globalThis[Symbol.for("patchwise.interrupts")]; `;
    return this.#slotted.has(file) ? `${first}${this.#slot()}; ` : first;
  }

  /** `made`, with checks at its start if `original` is the body of a loop or a function that needs them. */
  within(made: ts.Node, original: ts.Node): ts.Node {
    const parent = original.parent as ts.Node | undefined;
    if (!parent) return made;
    if (ts.isIterationStatement(parent, false))
      return parent.statement === original ? withFirst(this.#forLoop(parent), made) : made;
    if (!ts.isFunctionLike(parent) || (parent as ts.FunctionLikeDeclaration).body !== original) return made;
    const checks = maySpin(parent) ? [this.#check(String(HAPPENED), 'check')] : [];
    return withFirst(this.#slotted.has(parent) ? [...checks, this.#slot()] : checks, made);
  }

  /**
   * A loop in asynchronous code asks at each turn. SIGINT ends other loops, which may be hot, except in timers and event
   * handlers. So of the others only those ask that look endless.
   */
  #forLoop(loop: ts.IterationStatement): string[] {
    const owner = this.#ownerOf(loop);
    if (owner) this.#slotted.add(owner);
    if (owner) return [this.#check(this.inner('slot'), 'check')];
    return looksEndless(loop) ? [this.#check(String(STUCK), 'yield')] : [];
  }

  /** The asynchronous function that a loop belongs to, or the file; undefined for a loop of synchronous code. */
  #ownerOf(loop: ts.Node): ts.Node | undefined {
    let node = loop.parent;
    while (!ts.isSourceFile(node) && !ts.isFunctionLike(node)) node = node.parent;
    const isAsync = ts.isSourceFile(node) ? this.isAsync : hasModifier(node, ts.ModifierFlags.Async);
    return isAsync ? node : undefined;
  }

  #check(flag: string, method: string): string {
    this.#isUsed = true;
    const stop = this.inner('stop');
    return `if (${stop}.flags[${flag}]) ${stop}.${method}()`;
  }

  #slot(): string {
    return `const ${this.inner('slot')} = ${this.inner('stop')}.slot()`;
  }
}

/** The body of a loop or a function with statements before it. */
function withFirst(first: readonly string[], body: ts.Node): ts.Node {
  const { factory } = ts;
  if (first.length === 0) return body;
  const statements = ts.isBlock(body)
    ? body.statements
    : [
        ts.isStatement(body)
          ? body
          : ts.setTextRange(factory.createReturnStatement(body as ts.Expression), body),
      ];
  const checks = first.map((code) => factory.createExpressionStatement(raw(code)));
  return ts.setTextRange(factory.createBlock([...checks, ...statements], true), body);
}

function looksEndless(loop: ts.IterationStatement): boolean {
  if (ts.isForStatement(loop)) return loop.condition === undefined || isTrue(loop.condition);
  if (!ts.isWhileStatement(loop) && !ts.isDoStatement(loop)) return false;
  const { expression, statement } = loop;
  const isEmpty =
    ts.isEmptyStatement(statement) || (ts.isBlock(statement) && statement.statements.length === 0);
  return isEmpty || isTrue(expression) || calls(expression) || calls(statement);
}

function isTrue(expression: ts.Expression): boolean {
  return (
    expression.kind === ts.SyntaxKind.TrueKeyword ||
    (ts.isNumericLiteral(expression) && expression.text !== '0')
  );
}

function calls(node: ts.Node): boolean {
  if (ts.isCallExpression(node) || ts.isNewExpression(node)) return true;
  return ts.forEachChild(node, (child) => calls(child) || undefined) ?? false;
}
