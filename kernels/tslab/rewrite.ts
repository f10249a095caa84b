/** Changes of a cell's code before tslab converts it, and of the JavaScript after that. */
import type * as TypeScript from '@tslab/typescript-for-tslab';

const PRELUDE = 'const __stop = globalThis[Symbol.for("patchwise.interrupts")]; ';
const CHECK = ' if (__stop.flags[__slot]) __stop.check(); ';
const SLOT = ' const __slot = __stop.slot(); ';

/**
 * The JavaScript of a cell with the interrupt check (process/interrupts.ts) at the start of every turn of the loops in
 * async functions and, if `asyncCell`, at the top. Other loops get none: SIGINT ends them, and they may be hot.
 */
export function withLoopChecks(typescript: typeof TypeScript, code: string, asyncCell: boolean) {
  if (!asyncCell && !code.includes('async')) return { code, insertions: [] };
  const file = typescript.createSourceFile('cell.js', code, typescript.ScriptTarget.Latest, false);
  const puts: { at: number; text: string }[] = [];
  const slotted = new Set<TypeScript.Node>();
  /** @param owner the asynchronous function, or the file, that runs the node; undefined in synchronous code */
  const visit = (node: TypeScript.Node, owner: TypeScript.Node | undefined): void => {
    if (owner && typescript.isIterationStatement(node, false)) {
      const { statement } = node as TypeScript.IterationStatement;
      const start = statement.getStart(file);
      slotted.add(owner);
      if (typescript.isBlock(statement)) puts.push({ at: start + 1, text: CHECK });
      else puts.push({ at: start, text: `{${CHECK}` }, { at: statement.end, text: ' }' });
    }
    const { modifiers } = node as { readonly modifiers?: readonly TypeScript.Node[] };
    const isAsync = modifiers?.some(({ kind }) => kind === typescript.SyntaxKind.AsyncKeyword);
    const inside = typescript.isFunctionLike(node) ? (isAsync ? node : undefined) : owner;
    typescript.forEachChild(node, (child) => visit(child, inside));
    const { body } = node as { readonly body?: TypeScript.Node };
    if (slotted.has(node) && body) puts.push({ at: body.getStart(file) + 1, text: SLOT });
  };
  visit(file, asyncCell ? file : undefined);
  if (puts.length === 0) return { code, insertions: [] };
  puts.push({ at: 0, text: slotted.has(file) ? PRELUDE + SLOT : PRELUDE });
  puts.sort((a, b) => a.at - b.at);
  let checked = '';
  let from = 0;
  for (const { at, text } of puts) {
    checked += code.slice(from, at) + text;
    from = at;
  }
  const insertions = puts.map(({ at, text }) => {
    const { line, character } = file.getLineAndCharacterOfPosition(at);
    return { line: line + 1, column: character + 1, length: text.length };
  });
  return { code: checked + code.slice(from), insertions };
}

/**
 * Puts right what tslab's converter gets wrong:
 * - `{ linear }` where an earlier cell declares `linear`: tslab writes such names as `exports.linear` but forgets
 *   shorthand properties. `{ linear: linear }` is right.
 * - `for await` at the top of a cell: tslab makes a cell an async function only if it sees an `await` expression.
 * @returns the code for the converter, whose lines are those of the cell
 */
export function prepareCell(typescript: typeof TypeScript, code: string) {
  const file = typescript.createSourceFile('cell.ts', code, typescript.ScriptTarget.Latest, false);
  const shorthands: { start: number; name: string }[] = [];
  let hasTopLevelForAwait = false;
  const visit = (node: TypeScript.Node, inFunction: boolean): void => {
    if (typescript.isShorthandPropertyAssignment(node)) {
      shorthands.push({ start: node.name.getStart(file), name: node.name.text });
    }
    if (typescript.isForOfStatement(node) && node.awaitModifier && !inFunction) hasTopLevelForAwait = true;
    const inside = inFunction || typescript.isFunctionLike(node) || typescript.isClassLike(node);
    typescript.forEachChild(node, (child) => visit(child, inside));
  };
  visit(file, false);
  const expanded = shorthands.reduceRight(
    (text, { start, name }) => `${text.slice(0, start)}${name}: ${text.slice(start)}`,
    code,
  );
  return { code: expanded, hasTopLevelForAwait };
}
