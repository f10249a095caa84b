/** Questions about the syntax of a cell. */
import ts from 'typescript';

/** Parses a text as a module and works out its scopes. */
export function parsed(path: string, text: string, options: ts.CompilerOptions): ts.SourceFile {
  const setExternalModuleIndicator = ts.getSetExternalModuleIndicator(options);
  const form = { languageVersion: ts.ScriptTarget.ES2022, setExternalModuleIndicator };
  const file = ts.createSourceFile(path, text, form, true, ts.ScriptKind.TS);
  ts.bindSourceFile(file, options);
  return file;
}

/** The names at the top of a file, as they are written: TypeScript's tables have `___x` for `__x`. */
export function topLevelNames(file: ts.SourceFile): Map<string, ts.Symbol> {
  const names = [...(file.locals ?? [])];
  return new Map(
    names.map(([name, local]) => [ts.unescapeLeadingUnderscores(name), local.exportSymbol ?? local]),
  );
}

/** Those that exist when the cell runs: no type, nothing that is only declared to exist. */
export function topLevelValues(file: ts.SourceFile): Map<string, ts.Symbol> {
  const exists = (declaration: ts.Declaration): boolean =>
    !hasModifier(declaration, ts.ModifierFlags.Ambient) &&
    !(ts.isFunctionDeclaration(declaration) && !declaration.body);
  return new Map(
    [...topLevelNames(file)].filter(
      ([, { flags, declarations }]) => flags & ts.SymbolFlags.Value && declarations?.some(exists),
    ),
  );
}

export function hasModifier(node: ts.Node, modifier: ts.ModifierFlags): boolean {
  return (ts.getCombinedModifierFlags(node as ts.Declaration) & modifier) !== 0;
}

/**
 * True for an identifier that stands for a value and is declared nowhere in the file; with `atTop` true also for one
 * that is declared at the file's top (by an import).
 */
export function isRedirected(identifier: ts.Identifier, file: ts.SourceFile, atTop: boolean): boolean {
  const parent: ts.Node = identifier.parent;
  if (ts.isPropertyAccessExpression(parent) && parent.name === identifier) return false;
  const isShorthand = ts.isShorthandPropertyAssignment(parent) && parent.name === identifier;
  if (!isShorthand && !ts.isExpressionNode(identifier)) return false;
  for (let node = parent; node !== file; node = node.parent)
    if (declares(node, identifier.text)) return false;
  return atTop || !hasLocal(file, identifier.text);
}

function declares(node: ts.Node, name: string): boolean {
  if (hasLocal(node, name)) return true;
  if (ts.isEnumDeclaration(node) || ts.isModuleDeclaration(node))
    return node.symbol?.exports?.has(ts.escapeLeadingUnderscores(name)) ?? false;
  return (ts.isClassExpression(node) || ts.isFunctionExpression(node)) && node.name?.text === name;
}

function hasLocal(node: ts.Node, name: string): boolean {
  return node.locals?.has(ts.escapeLeadingUnderscores(name)) ?? false;
}

/** True if the cell cannot run as a plain function: it awaits outside of every function of its own. */
export function awaitsAtTop(file: ts.SourceFile): boolean {
  const { AwaitUsing } = ts.NodeFlags;
  const awaits = (node: ts.Node): boolean => {
    if (ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier)) return true;
    if (ts.isVariableDeclarationList(node) && (node.flags & AwaitUsing) === AwaitUsing) return true;
    return (
      !ts.isFunctionLike(node) && (ts.forEachChild(node, (child) => awaits(child) || undefined) ?? false)
    );
  };
  return file.text.includes('await') && awaits(file);
}

const SCHEDULES = new Set(['then', 'catch', 'finally', 'queueMicrotask', 'nextTick']);

/**
 * True for a function that may call itself for ever through microtasks, which no signal and no other event gets between:
 * an asynchronous one, and one that has others called later.
 */
export function maySpin(node: ts.SignatureDeclaration): boolean {
  const schedules = (child: ts.Node): boolean | undefined => {
    if (ts.isCallExpression(child)) {
      const { expression: callee } = child;
      const name = ts.isPropertyAccessExpression(callee) ? callee.name : callee;
      if (ts.isIdentifier(name) && SCHEDULES.has(name.text)) return true;
    }
    return ts.forEachChild(child, schedules);
  };
  return hasModifier(node, ts.ModifierFlags.Async) || schedules(node) === true;
}

/** JavaScript that stands for an expression. The emitter prints the text of an identifier as it is. */
export function raw(code: string): ts.Expression {
  return ts.factory.createIdentifier(code);
}

export function inBrackets(expression: ts.Expression): ts.Expression {
  return ts.factory.createParenthesizedExpression(expression);
}
