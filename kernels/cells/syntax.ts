/** Questions about the syntax of a cell, and the check that its loops get. */
import type * as TypeScript from 'typescript';
import type { Typescript } from './typescript';

/** What TypeScript's binder leaves on the nodes of a file; not part of its public types. */
interface Scoped {
  readonly locals?: ReadonlyMap<TypeScript.__String, TypeScript.Symbol>;
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

/** The names at the top of a bound file, as they are written: TypeScript's tables have `___x` for `__x`. */
export function topLevelNames(
  typescript: Typescript,
  file: TypeScript.SourceFile,
): ReadonlyMap<string, TypeScript.Symbol> {
  const names = [...((file as Scoped).locals ?? [])];
  return new Map(names.map(([name, symbol]) => [typescript.unescapeLeadingUnderscores(name), symbol]));
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
  return atTop || !hasLocal(typescript, file, name);
}

function declares(typescript: Typescript, node: TypeScript.Node, name: string): boolean {
  if (hasLocal(typescript, node, name)) return true;
  const { symbol } = node as Scoped;
  if (typescript.isEnumDeclaration(node) || typescript.isModuleDeclaration(node)) {
    return symbol?.exports?.has(typescript.escapeLeadingUnderscores(name)) ?? false;
  }
  return (
    (typescript.isClassExpression(node) || typescript.isFunctionExpression(node)) && node.name?.text === name
  );
}

function hasLocal(typescript: Typescript, node: TypeScript.Node, name: string): boolean {
  return (node as Scoped).locals?.has(typescript.escapeLeadingUnderscores(name)) ?? false;
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

const SCHEDULES = new Set(['then', 'catch', 'finally', 'queueMicrotask', 'nextTick']);

/**
 * True for a function that may call itself for ever through microtasks, which no signal and no other event gets between:
 * an asynchronous one, and one that has others called later.
 */
export function maySpin(typescript: Typescript, node: TypeScript.SignatureDeclaration): boolean {
  const schedules = (child: TypeScript.Node): boolean | undefined => {
    if (typescript.isCallExpression(child)) {
      const { expression: callee } = child;
      const name = typescript.isPropertyAccessExpression(callee) ? callee.name : callee;
      if (typescript.isIdentifier(name) && SCHEDULES.has(name.text)) return true;
    }
    return typescript.forEachChild(child, schedules);
  };
  return isAsyncFunction(typescript, node) || schedules(node) === true;
}
