/** Puts the interrupt check into the loops of a cell's asynchronous code (see interrupts.ts). */
import type * as TypeScript from '@tslab/typescript-for-tslab';
import type { Insertion } from '../cells/source';

export interface CheckedCode {
  readonly code: string;
  readonly insertions: readonly Insertion[];
}

const PRELUDE = 'const __stop = globalThis[Symbol.for("patchwise.interrupts")]; ';
const CHECK = ' if (__stop.flags[__slot]) __stop.check(); ';
const SLOT = ' const __slot = __stop.slot(); ';

/**
 * The JavaScript of a cell with a check at the start of every turn of a loop that lies in an async function or, where
 * `asyncCell`, at the top. Loops of synchronous functions stay as they are: SIGINT ends them, and they may be hot.
 */
export function withLoopChecks(typescript: typeof TypeScript, code: string, asyncCell: boolean): CheckedCode {
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
    const own = isAsyncFunction(typescript, node) ? node : undefined;
    const inside = typescript.isFunctionLike(node) ? own : owner;
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

function isAsyncFunction(typescript: typeof TypeScript, node: TypeScript.Node): boolean {
  const modifiers = typescript.canHaveModifiers(node) ? typescript.getModifiers(node) : undefined;
  return (modifiers ?? []).some(({ kind }) => kind === typescript.SyntaxKind.AsyncKeyword);
}
