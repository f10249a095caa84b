/** Questions about the syntax of a cell, and the check that its loops get. */
import type * as TypeScript from 'typescript';
import type { Typescript } from './typescript-load';

/** What TypeScript's binder leaves on the nodes of a file; not part of its public types. */
interface Scoped {
  readonly locals?: ReadonlyMap<string, TypeScript.Symbol>;
  readonly symbol?: TypeScript.Symbol;
}

interface Internals {
  bindSourceFile(file: TypeScript.SourceFile, options: TypeScript.CompilerOptions): void;
  isExpressionNode(node: TypeScript.Node): boolean;
}

/** The file with its scopes worked out. */
export function bound(
  typescript: Typescript,
  file: TypeScript.SourceFile,
  options: TypeScript.CompilerOptions,
): TypeScript.SourceFile {
  (typescript as unknown as Internals).bindSourceFile(file, options); // does nothing the second time
  return file;
}

/** The names at the top of a bound file. */
export function topLevelNames(file: TypeScript.SourceFile): ReadonlyMap<string, TypeScript.Symbol> {
  return (file as Scoped).locals ?? new Map();
}

/**
 * True for an identifier that stands for a value and is declared nowhere in the file; with `atTop` true also for one
 * that is declared at the file's top (by an import).
 */
export function isRedirected(
  typescript: Typescript,
  identifier: TypeScript.Identifier,
  file: TypeScript.SourceFile,
  atTop: boolean,
): boolean {
  const parent = identifier.parent as TypeScript.Node | undefined;
  if (!parent) return false;
  if (typescript.isPropertyAccessExpression(parent) && parent.name === identifier) return false;
  const isShorthand = typescript.isShorthandPropertyAssignment(parent) && parent.name === identifier;
  if (!isShorthand && !(typescript as unknown as Internals).isExpressionNode(identifier)) return false;
  const name = identifier.text;
  for (let node = parent; node !== file; node = node.parent)
    if (declares(typescript, node, name)) return false;
  return atTop || !topLevelNames(file).has(name);
}

function declares(typescript: Typescript, node: TypeScript.Node, name: string): boolean {
  const { locals, symbol } = node as Scoped;
  if (locals?.has(name)) return true;
  if (typescript.isEnumDeclaration(node) || typescript.isModuleDeclaration(node)) {
    return symbol?.exports?.has(typescript.escapeLeadingUnderscores(name)) ?? false;
  }
  return (
    (typescript.isClassExpression(node) || typescript.isFunctionExpression(node)) && node.name?.text === name
  );
}

/** True if the cell cannot run as a plain function: it awaits outside of every function of its own. */
export function awaitsAtTop(typescript: Typescript, file: TypeScript.SourceFile): boolean {
  const awaits = (node: TypeScript.Node): boolean => {
    if (typescript.isAwaitExpression(node)) return true;
    if (typescript.isForOfStatement(node) && node.awaitModifier) return true;
    if (
      typescript.isVariableDeclarationList(node) &&
      (node.flags & typescript.NodeFlags.AwaitUsing) === typescript.NodeFlags.AwaitUsing
    ) {
      return true;
    }
    if (typescript.isFunctionLike(node)) return false;
    return typescript.forEachChild(node, (child) => awaits(child) || undefined) ?? false;
  };
  return file.text.includes('await') && awaits(file);
}

export function isAsyncFunction(typescript: Typescript, node: TypeScript.Node): boolean {
  const modifiers = typescript.canHaveModifiers(node) ? typescript.getModifiers(node) : undefined;
  return (modifiers ?? []).some(({ kind }) => kind === typescript.SyntaxKind.AsyncKeyword);
}

/** The loop with `if (__stop.flags[0]) __stop.check();` at the start of each turn. */
export function withCheck(
  typescript: Typescript,
  factory: TypeScript.NodeFactory,
  loop: TypeScript.IterationStatement,
): TypeScript.IterationStatement {
  const stop = factory.createIdentifier('__stop');
  const check = factory.createIfStatement(
    factory.createElementAccessExpression(factory.createPropertyAccessExpression(stop, 'flags'), 0),
    factory.createExpressionStatement(
      factory.createCallExpression(factory.createPropertyAccessExpression(stop, 'check'), [], []),
    ),
  );
  const { statement } = loop;
  const inner = typescript.isBlock(statement) ? statement.statements : [statement];
  const body = typescript.setTextRange(factory.createBlock([check, ...inner], true), statement);
  if (typescript.isForStatement(loop)) {
    return factory.updateForStatement(loop, loop.initializer, loop.condition, loop.incrementor, body);
  }
  if (typescript.isForOfStatement(loop)) {
    return factory.updateForOfStatement(loop, loop.awaitModifier, loop.initializer, loop.expression, body);
  }
  if (typescript.isForInStatement(loop)) {
    return factory.updateForInStatement(loop, loop.initializer, loop.expression, body);
  }
  if (typescript.isWhileStatement(loop)) return factory.updateWhileStatement(loop, loop.expression, body);
  if (typescript.isDoStatement(loop)) return factory.updateDoStatement(loop, body, loop.expression);
  return loop;
}
